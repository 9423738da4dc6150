"""Characters that look like Latin letters, and the conversion of names to plain Latin letters.

A name is read as a person reads it: ``раssword`` with Cyrillic letters, ``ｐａｓｓｗｏｒｄ`` in full width and
``pass\\u200bword`` with a character that shows nothing are all ``password``.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from .expressions import expression

# Beside these, Unicode itself knows full-width, mathematical, circled and accented letters as Latin ones.
# https://www.unicode.org/reports/tr39/#Confusable_Detection
_ALIKE = {
    "a": "аαɑᴀⲁ", "b": "вβƅɓʙᏏⲃ", "c": "сϲƈᴄⲥ", "d": "ԁđɖɗᴅᏧꓒ", "e": "еεɛəᴇ℮ⲉ", "f": "ƒꜰғϝ", "g": "ɡɠɢց",
    "h": "һнħɦʜհᏂⲏ", "i": "іιıɩɨɪᎥⲓ", "j": "јϳȷʝᴊյ", "k": "кκƙĸᴋⲕ", "l": "ӏłɫɭǀʟ", "m": "мɱᴍⲙ", "n": "пηɲŋɳƞɴոռⲛ",
    "o": "оοσøɵᴏօⲟ", "p": "рρƥᴘþⲣ", "q": "ԛʠɋզ", "r": "гɍɼɽɾʀ", "s": "ѕʂƽꜱ", "t": "тτŧƭʈᴛⲧ", "u": "υʉᴜս", "v": "ѵνʋᴠⱱ",
    "w": "ԝωɯⱳᴡա", "x": "хχⲭ", "y": "уүγʏƴɏⲩ", "z": "ʐʑƶᴢ", "ss": "ß",
    "A": "АΑᎪꓮⲀ", "B": "ВΒƁᏴꓐⲂ", "C": "СϹᏟꓚⲤ", "D": "ԀĐƊᎠꓓ", "E": "ЕΕƐᎬꓰⲈ", "F": "ҒϜꓝ", "G": "ԌᏀꓖ", "H": "НΗĦᎻꓧⲎ",
    "I": "ІΙƗꓲⲒӀ", "J": "ЈͿɈᎫꓙ", "K": "КΚƘᏦꓗⲔ", "L": "ŁᏞꓡԼ", "M": "МΜᎷꓟⲘ", "N": "ΝꓠⲚ", "O": "ОΟØƟꓳⲞՕ", "P": "РΡƤᏢꓑⲢÞ",
    "Q": "Ԛ", "R": "ᎡᏒꓣ", "S": "ЅᏚꓢՏ", "T": "ТΤŦƬᎢꓔⲦ", "U": "ɄꓴՍ", "V": "ѴƲᏙꓦ", "W": "ԜᎳꓪ", "X": "ХΧꓫⲬ", "Y": "УΥƳᎩꓬⲨҮ",
    "Z": "ΖᏃꓜ", "SS": "ẞ",
}  # fmt: skip
_LATIN = {letter: latin for latin, letters in _ALIKE.items() for letter in letters}
_SHOWS_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
_REGIONAL, _BOXED = ord("\U0001f1e6"), (0x1F130, 0x1F150, 0x1F170)

# The blocks in which such letters, accents and characters without a shape stand: all else is left at a glance.
MAY_BE_ALIKE = expression(
    "[\u00aa-\u058f\u115f\u1160\u13a0-\u13ff\u17b4\u17b5\u180b-\u180f\u1d00-\u1fff\u200b-\u200f\u202a-\u202e\u2060-\u209f"
    "\u2100-\u218f\u2460-\u24ff\u2800\u2c60-\u2cff\u3164\ua4d0-\ua4ff\ua640-\ua69f\ua720-\ua7ff\uab30-\uabbf"
    "\ufb00-\ufb06\ufe00-\ufe0f\ufe30-\ufeff\uff01-\uff5e\uffa0\U0001d400-\U0001d7ff\U0001f100-\U0001f1ff"
    "\U000e0000-\U000e01ef]"
)


@cache
def latin(letter: str) -> str:
    """The Latin letters that the character looks like, or itself; empty for an invisible character."""
    if letter.isascii():
        return letter
    if letter in _LATIN:
        return _LATIN[letter]
    if letter in _SHOWS_NOTHING or unicodedata.category(letter) in ("Cf", "Mn", "Me"):
        return ""
    for first in (_REGIONAL, *_BOXED):
        if first <= ord(letter) < first + 26:
            return chr(ord("A") + ord(letter) - first)
    parts = unicodedata.normalize("NFKD", letter)
    return letter if parts == letter else "".join(map(latin, parts))


class _Letters(dict[int, str]):
    """A table for ``str.translate`` that computes each entry on first use."""

    def __missing__(self, code: int) -> str:
        self[code] = new = latin(chr(code))
        return new


_LETTERS = _Letters()


def in_latin(name: str) -> str:
    """The name with look-alikes replaced by Latin letters."""
    return name if name.isascii() else name.translate(_LETTERS)
