"""The three ways to train a correction, each a thin layer over the trainer that TRL has for it.

    losses      which losses a method knows, which settings they read, what TRL is told (light)
    arguments   what all three share: LoRA, schedule, precision, checkpoints
    dpo         preference pairs
    kto         single answers that somebody liked or disliked
    sft         the better answers alone

Importing this package imports no torch.
"""
