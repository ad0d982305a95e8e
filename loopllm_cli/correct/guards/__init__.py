"""What is watched while a model trains, and what ends a run that goes wrong.

    kept        the best weights so far, on disk, so that a continued run knows them
    held_out    how likely held-out better answers are, and that they end
    watch       retention, displacement, length, and keeping the best
    gradients   gradients that are zero, infinite or no number
    preemption  SIGTERM: save and stop

Must not import: torch and its relatives at the top (watch and gradients: inside functions only).
"""
