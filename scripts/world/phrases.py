"""Hold the wording of the sample world: what customers of Halden Outfitters write."""

from typing import Final

CITIES: Final = ("Bergen", "Oslo", "Lund", "Aarhus", "Turku", "Tromso")

NAMES: Final = (
    "Ingrid", "Mikkel", "Saana", "Olav", "Petra", "Jonas",
    "Freya", "Anders", "Lotta", "Emil", "Sigrid", "Nils",
)  # fmt: skip

ITEMS: Final = (
    "fjord jacket", "summit rucksack", "birch tent", "glacier stove",
    "tarn sleeping bag", "moss fleece", "ridge anorak", "storm hat",
)  # fmt: skip

PREFIXES: Final = (
    "Hello. ",
    "Hi there. ",
    "Good morning. ",
    "Good evening. ",
    "Hey. ",
    "Excuse me. ",
    "Hello, {name} here. ",
    "This is {name}. ",
)

SUFFIXES: Final = (
    " Thanks.",
    " Thank you!",
    " Many thanks.",
    " I would be grateful.",
    " It is rather urgent.",
    " Please let me know.",
)

TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "order_status": (
        "Where is my order {order}?",
        "What is the status of order {order}?",
        "Has order {order} been sent yet?",
        "Can you track order {order} for me?",
        "I am still waiting for order {order}.",
        "Any news about order number {order}?",
        "When will #{order} arrive?",
        "Please look up the progress of order {order}.",
        "My order {order} has not come yet, where is it?",
    ),
    "refund": (
        "I want my money back for order {order}.",
        "Please refund order {order}.",
        "Can I get a refund for order {order}?",
        "How do I get my money back for #{order}?",
        "Order {order} arrived broken, I would like a refund.",
        "I sent order {order} back and need the refund.",
        "Start a refund for order number {order}.",
        "You still owe me the money for order {order}.",
        "Give me a refund on #{order}.",
    ),
    "cancel_order": (
        "Please cancel order {order}.",
        "I want to cancel #{order}.",
        "Can you stop order {order} before it ships?",
        "I no longer need order {order}, cancel it.",
        "Cancel order number {order} right away.",
        "I ordered by mistake, please call off order {order}.",
        "Is it too late to cancel order {order}?",
        "Do not send order {order}, I changed my mind.",
        "How can I cancel my order {order}?",
    ),
    "change_address": (
        "Send order {order} to {city} instead.",
        "I moved to {city}, please redirect order {order}.",
        "Change the address of order {order} to {city}.",
        "Can order {order} go to my new home in {city}?",
        "Please deliver #{order} to {city} rather than my old address.",
        "The address on order {order} is wrong, it should be {city}.",
        "I now live in {city}, update order {order}.",
        "Order {order} must go to {city}, not to my old flat.",
        "Could you reroute order number {order} to {city}?",
    ),
    "stock_check": (
        "Do you have the {item} in {city}?",
        "Is the {item} in stock in {city}?",
        "Does the {city} store still have the {item}?",
        "Can I buy the {item} in your {city} shop?",
        "Any {item} left in {city}?",
        "I would like to try the {item} in {city}, is it there?",
        "Please check the stock of {item} in {city}.",
        "Is the {item} sold out in {city}?",
        "Could you see if {city} has the {item}?",
    ),
    "shipping_time": (
        "How long does shipping to {city} take?",
        "How many days until a parcel reaches {city}?",
        "When would a delivery to {city} arrive?",
        "What is the delivery time for {city}?",
        "How fast do you ship to {city}?",
        "I live in {city}, how long will delivery take?",
        "If I order today, when is it in {city}?",
        "How soon can you deliver to {city}?",
        "Tell me the shipping time to {city}.",
    ),
    "warranty": (
        "How long is the warranty on the {item}?",
        "Is the {item} under warranty?",
        "What warranty do I get with the {item}?",
        "Do you guarantee the {item}?",
        "The zip of my {item} broke, is that covered?",
        "How many years of guarantee has the {item}?",
        "Tell me about the warranty for the {item}.",
        "My {item} is torn, does the guarantee apply?",
        "What does the guarantee for the {item} cover?",
    ),
    "opening_hours": (
        "When is the {city} store open?",
        "What are your opening hours in {city}?",
        "Until when can I visit the shop in {city}?",
        "Is the {city} shop open on Saturday?",
        "At what time do you close in {city}?",
        "At what time does the {city} store open?",
        "Can I come to the {city} store after work?",
        "How late is the {city} shop open?",
        "Tell me the opening hours for {city}.",
    ),
    "care": (
        "How do I wash the {item}?",
        "How should I clean my {item}?",
        "Can the {item} go in the washing machine?",
        "What is the best way to care for the {item}?",
        "My {item} is dirty, what should I do?",
        "At what temperature do I wash the {item}?",
        "How do I look after the {item}?",
        "Do you have washing advice for the {item}?",
        "There is mud on my {item}, how do I get it off?",
    ),
    "return_policy": (
        "What is your return policy?",
        "How long can I return things?",
        "Can I send something back if it does not fit?",
        "Until when may I return a purchase?",
        "Do you take back worn goods?",
        "How many days do I have for returns?",
        "What are the rules for sending goods back?",
        "Is returning free of charge?",
        "I bought the wrong size, may I return it?",
    ),
    "greeting": (
        "Are you there?",
        "Can you help me?",
        "I have a question.",
        "Is anybody there?",
        "I am new here, my name is {name}.",
        "I am {name} and I need some help.",
        "Could you help me with something?",
        "Nice to meet you, I am {name}.",
        "Can I ask you something?",
    ),
    "human_handover": (
        "I want to talk to a human.",
        "Please connect me to a real person.",
        "Can I speak to somebody from your team?",
        "Let me talk to your manager.",
        "I do not want to talk to a machine.",
        "Put me through to customer service.",
        "Is there a person I can talk to?",
        "Get me a colleague of yours.",
        "I would rather speak with a person.",
    ),
}

SHIPPING_DAYS: Final = {
    "Bergen": 2, "Oslo": 3, "Lund": 4, "Aarhus": 5, "Turku": 6, "Tromso": 8,
}  # fmt: skip

OPENING: Final = {
    "Bergen": ("9", "18", "15"),
    "Oslo": ("8", "20", "18"),
    "Lund": ("10", "18", "14"),
    "Aarhus": ("9", "19", "16"),
    "Turku": ("10", "17", "15"),
    "Tromso": ("11", "17", "13"),
}

WARRANTY: Final = {
    "fjord jacket": (5, "seams and zips"),
    "summit rucksack": (8, "straps and buckles"),
    "birch tent": (6, "poles and fabric"),
    "glacier stove": (3, "burner and valve"),
    "tarn sleeping bag": (4, "filling and zips"),
    "moss fleece": (2, "seams and zips"),
    "ridge anorak": (3, "seams and hood"),
    "storm hat": (2, "seams and lining"),
}

CARE: Final = {
    "fjord jacket": "Wash the fjord jacket at 30 degrees and renew the proofing afterwards.",
    "summit rucksack": "Wipe the summit rucksack with a damp cloth and never machine wash it.",
    "birch tent": "Rinse the birch tent with cold water and dry it before packing.",
    "glacier stove": "Let the glacier stove cool and brush the burner with a dry cloth.",
    "tarn sleeping bag": "Air the tarn sleeping bag and have it cleaned once a year.",
    "moss fleece": "Wash the moss fleece at 40 degrees without fabric softener.",
    "ridge anorak": "Wash the ridge anorak at 40 degrees and hang it up to dry.",
    "storm hat": "Wash the storm hat by hand at 30 degrees with mild soap.",
}
