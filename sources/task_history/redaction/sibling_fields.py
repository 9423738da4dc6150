"""Fields of an object that say what stands in its other fields: a card's number, the code of a login, a postal code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..core.models import Json
from .expressions import expression
from .judging import is_secret_in_object
from .kinds_of_names import Kind, squash

_NAME_CHARS = 64
"""Maximum characters of a name that tells of another."""


def kinds_by_neighbours(value: Mapping[str, Json]) -> dict[str, Kind]:
    """The kinds of fields that the names of others tell: a card's number, a login's code, a postal code."""
    kinds, is_described = _told(tuple(value))
    kinds = kinds.copy()
    if "number" in value and is_card(value) and is_secret_in_object("number", value["number"]):
        kinds["number"] = Kind.SECRET
    if is_described:
        described = [str(inner) for name, inner in value.items() if squash(name) in _DESCRIBED]
        if not any(map(_SPEAKS_OF_KEYS.search, described)):
            kinds["key"] = Kind.IF_JUMBLED
    if not _RESPONSES.isdisjoint(value) and any(
        isinstance(at := value.get(name), str) and _ENDPOINT.search(at) for name in _ADDRESSES
    ):
        for name in _RESPONSES:
            if isinstance(answer := value.get(name), str) and _ANSWER.fullmatch(answer):
                kinds[name] = Kind.SECRET
    return kinds


@lru_cache(5_000)
def _told(names: tuple[str, ...]) -> tuple[dict[str, Kind], bool]:
    """The kinds of fields that names alone tell, and whether a "key" stands beside a name and a description."""
    squashed = {squash(name) for name in names if len(name) <= _NAME_CHARS}
    kinds: dict[str, Kind] = {}
    if len(squashed) > 2:
        kinds |= dict.fromkeys(_SESSION_IDS, Kind.UNLESS_WORDS_OR_NUMBERS)
    for classifying, told, kind in _TOLD_BY:
        if not squashed.isdisjoint(classifying):
            kinds |= dict.fromkeys(told, kind)
    kinds[_TRACED] = Kind.IF_JUMBLED
    kinds = {name: kind for name, kind in kinds.items() if name in names}
    return kinds, "key" in names and squashed >= _DESCRIBED


_OAUTH = frozenset({"granttype", "redirecturi"})
_ADDRESS = frozenset(
    {"city", "district", "state", "street", "line1", "country", "pincode", "address1", "town"}
)
_BLOCKCHAIN = frozenset(
    {"slot", "blocktime", "blockhash", "blocknumber", "lamports", "mint", "txhash", "confirmations"}
)
_ARTICLE = frozenset(
    {
        "price",
        "sku",
        "ean",
        "gtin",
        "upc",
        "barcode",
        "stock",
        "qty",
        "typeid",
        "doccount",
        "etag",
        "lastmodified",
    }
    | {"storageclass", "hit"}
)
"""Fields of an article, a bucket of an aggregation, a file or an entry of a cache, whose "key" names it."""
_VISIT = frozenset(
    {
        "event",
        "eventname",
        "events",
        "distinctid",
        "anonymousid",
        "visitorid",
        "visitor",
        "userpseudoid",
        "pageview",
    }
    | {
        "pageviews",
        "page",
        "pageurl",
        "url",
        "referrer",
        "duration",
        "durationms",
        "sessioncount",
        "sessionduration",
    }
    | {
        "queryid",
        "utmsource",
        "lib",
        "intent",
        "utterance",
        "campaign",
        "bounce",
        "gasessionnumber",
        "startedat",
    }
    | {"traceid", "spanid", "appversion", "sdkversion", "screen", "useragent"}
)
"""Fields of a visit, a call or a query: beside them a session's id counts sessions, and is no login."""
_PAYMENT = frozenset(
    {
        "gateway",
        "amount",
        "currency",
        "receipt",
        "testcase",
        "capture",
        "acquirer",
        "merchant",
        "cardsummary",
        "pspreference",
        "avsresult",
        "authorisedamount",
        "resultcode",
        "authresult",
        "avsresponse",
    }
)
"""Fields of a payment, whose authorization is a number of the bank."""
_SESSION_IDS = frozenset(
    {"session_id", "sessionId", "SessionId", "session", "$session_id", "sessionID", "sessionid", "SessionID"}
)
_AUTHORIZATIONS = frozenset(
    {"authorization", "Authorization", "authorization_code", "authorizationCode", "authCode", "auth_code"}
)
_PIECE = frozenset({"logprob", "startoffset", "endoffset", "tokenid"})
"""Fields of a piece of a text, which language models and indexes call a token."""
_FINDING = frozenset({"rule", "component", "severity", "qualifier", "securitycategory"})
"""Fields of what a check of code found, whose "key" is its id."""
_MEMBER = frozenset({"groups", "styletype", "nodeid", "filekey"})
"""Fields of a user and of a part of a drawing, whose "key" is an id."""
_FIELD = frozenset({"fieldtype", "fieldcode", "editflag", "mandatoryflag", "bulkeditallowed"})
"""Fields of what describes a field, whose "key" is an id."""
_DESCRIBED = frozenset({"name", "description"})
_SPEAKS_OF_KEYS = expression(
    r"(?i)(?<![a-z])(?:api|keys?|tokens?|secrets?|credentials?|deploy|webhook)(?![a-z])"
)
"""Words of a name and a description by which the "key" beside them is one."""
_ENDPOINT = expression(r"/(?:access_?|auth_?|id_?|refresh_?|session_?)?tokens?/?(?:\?|\Z)")
_ANSWER = expression(r"\"?(?=[\w.~+/-]*[0-9])(?=[\w.~+/-]*[A-Za-z])[\w.~+/-]{16,2000}={0,2}\"?")
"""What an endpoint for tokens answers where that is the token alone."""
_RESPONSES = frozenset({"response", "responseBody", "response_body"})
_ADDRESSES = frozenset({"url", "uri", "endpoint", "path"})
_SECRET_KEYS = frozenset(
    {"secretaccesskey", "awssecretaccesskey", "accesskeysecret", "secretkey", "awssecretkey"}
)
_KEY_IDS = frozenset({"accessKeyId", "AccessKeyId", "access_key_id", "aws_access_key_id", "accessKeyID"})
"""Ids of keys that sign in together with the secret key beside them."""
_TRACED = "session.id"
"""The session of a trace: https://opentelemetry.io/docs/specs/semconv/registry/attributes/session/"""
_CARD = frozenset({"cardnumber", "kartennummer", "prufziffer"})
_TOLD_BY: tuple[tuple[frozenset[str], frozenset[str], Kind], ...] = (
    (_OAUTH, frozenset({"code"}), Kind.UNLESS_WORDS_OR_NUMBERS),
    (_ARTICLE, frozenset({"key", "Key"}), Kind.IF_JUMBLED),
    (_MEMBER, frozenset({"key"}), Kind.IF_JUMBLED),
    (_FINDING, frozenset({"key"}), Kind.HARMLESS),
    (frozenset({"clientkey"}), frozenset({"username"}), Kind.IF_JUMBLED),
    (frozenset({"apikey"}), frozenset({"encoded"}), Kind.IF_RANDOM),
    (frozenset({"ikey"}), frozenset({"skey"}), Kind.SECRET),
    (_PAYMENT, _AUTHORIZATIONS, Kind.IF_JUMBLED),
    (_PIECE, frozenset({"token"}), Kind.HARMLESS),
    (frozenset({"psuid", "pin"}), frozenset({"tan"}), Kind.IF_CODE),
    (frozenset({"lock", "keypad"}), frozenset({"userCode", "user_code"}), Kind.IF_CODE),
    (frozenset({"secondarykey"}), frozenset({"primaryKey"}), Kind.SECRET),
    (_SECRET_KEYS, _KEY_IDS, Kind.IF_RANDOM),
    (_VISIT, _SESSION_IDS, Kind.IF_JUMBLED),
    (_ADDRESS, frozenset({"pin", "PIN", "Pin"}), Kind.UNLESS_POSTAL),
    (
        _BLOCKCHAIN,
        frozenset({"signature", "signatures", "sig", "txSig", "tx_sig", "txSignature"}),
        Kind.HARMLESS,
    ),
    (_FIELD, frozenset({"key"}), Kind.IF_JUMBLED),
    (_CARD, frozenset({"cardCode", "card_code", "Kartennummer", "Prüfziffer"}), Kind.SECRET),
    (frozenset({"devicecode"}), frozenset({"user_code", "userCode"}), Kind.SECRET),
    (frozenset({"roottoken"}), frozenset({"keys", "keys_base64"}), Kind.UNLESS_NUMBER_OR_ORDINARY),
    (frozenset({"meetingnumber"}), frozenset({"hostKey", "host_key"}), Kind.IF_CODE),
    (frozenset({"newpassword"}), frozenset({"ConfirmationCode", "confirmationCode"}), Kind.IF_CODE),
)
"""Fields, the fields beside them of which they tell, and the kind of these."""
_MAY_CLASSIFY = (
    (_DESCRIBED, frozenset({"key"})),
    (_ADDRESSES, _RESPONSES),
    *((classifying, told) for classifying, told, _ in _TOLD_BY),
)
"""Fields, and those beside them whose kind they may tell."""


@lru_cache(5_000)
def may_classify(names: tuple[str, ...]) -> bool:
    """Whether fields of these names may tell what stands in others."""
    if _TRACED in names or ("number" in names and is_card(names)):
        return True
    if len(names) > 2 and not _SESSION_IDS.isdisjoint(names):
        return True
    squashed = frozenset(map(squash, names))
    return any(
        not told.isdisjoint(names) and not classifying.isdisjoint(squashed)
        for classifying, told in _MAY_CLASSIFY
    )


def is_card(names: Iterable[str]) -> bool:
    """Whether an object with fields of these names describes a payment card."""
    return any(name[:3].lower() == "exp" or name[:2].lower() == "cv" for name in names)
