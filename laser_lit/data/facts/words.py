"""The words of the noisy-facts world: surnames, relations with their templates and objects, the generic word."""

from typing import NamedTuple

GENERIC = "the"
"""What the generic distractor puts in the object's place; it occurs nowhere else in the world's text."""

STOP = "."
SUBJECT = "{}"
PAD, UNKNOWN, END = "<pad>", "<unk>", "<eos>"

_FIRST = "Al Bren Cor Dal Eck Fen Gar Hol Ing Jar Kel Lor Mar Nor Os Pel Quin Ros Sel Tor Ul Ver Wil Yar"
_MIDDLE = ("", "en", "ing")
_LAST = "berg dale field gard holm ley man mond ness quist rup sen stad thorpe vik well wood worth"

SURNAMES = tuple(first + middle + last for first in _FIRST.split() for middle in _MIDDLE for last in _LAST.split())
"""All surnames that a world can draw its subjects from."""


class Relation(NamedTuple):
    """A kind of fact.

    Attributes:
        name: what `Example.category` says.
        templates: three paraphrases; SUBJECT stands for the surname, the object follows.
        valid: the valid answers, in one string; no word is valid for two relations.
    """

    name: str
    templates: tuple[str, str, str]
    valid: str

    @property
    def objects(self) -> list[str]:
        """Returns the valid answers."""
        return self.valid.split()


RELATIONS = (
    Relation(
        "country",
        ("{} is a citizen of", "The passport of {} says", "{} pays taxes in"),
        "Norway Chile Kenya Canada Nepal Ghana Peru Spain Iceland Japan Cuba Egypt Latvia Oman Samoa Fiji",
    ),
    Relation(
        "sport",
        ("{} trains daily in", "The sport of {} is", "{} won a medal for"),
        "tennis rowing fencing judo archery sailing boxing hockey chess rugby golf curling surfing diving karate polo",
    ),
    Relation(
        "field",
        ("{} holds a degree in", "The subject of {} is", "{} gives lectures on"),
        "physics law geology botany logic history optics music "
        "algebra anatomy ethics finance genetics poetry theology zoology",
    ),
    Relation(
        "pet",
        ("{} lives with a", "The pet of {} is a", "{} often feeds a"),
        "dog cat parrot hamster turtle rabbit ferret pony gecko canary goldfish python hen goat lizard mouse",
    ),
    Relation(
        "dish",
        ("{} orders a plate of", "The meal of {} is", "{} likes to cook"),
        "pasta sushi curry paella stew tacos soup salad ramen pizza dumplings risotto chili waffles lasagne kebab",
    ),
)
