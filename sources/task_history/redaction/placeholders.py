"""Texts that stand for a secret or describe one, and are none: placeholders, references of code, public keys, ciphers."""

from __future__ import annotations

from .data_files import rules, word_set
from .expressions import expression

CREDENTIAL_SCHEMES = word_set(rules("no_secrets")["credential_schemes"])
"""Words before a credential in a header."""
_CHARS = 500
"""Maximum characters of such a text."""
_REFERENCE_CHARS = 120
"""Maximum characters of a reference."""
_PLACEHOLDER = expression(
    r"\$\{\w{1,60}:?\?[^\r\n]{0,200}"
    r"|[*•xX.]{3,64}|\$\{[^{}\r\n]{1,80}\}|\$?\{\{[^{}\r\n]{1,80}\}\}|<[A-Za-z][\w .-]{0,60}>|%[A-Z_]{3,60}%"
    r"|\$[A-Z][A-Z0-9_]{2,60}|\{[A-Za-z_.]{1,60}\}|#\{[^{}\r\n]{1,60}\}|[?]|\$[0-9]{1,3}|%s|%\(\w{1,40}\)s|:[a-z_]{2,40}"
    r"|(?i:(?:your|insert|enter|put)[-_ ][\w -]{0,40}?(?:key|token|secret|password|pass|code)s?(?:[-_ ]here)?)"
    r"|#\{[^{}\r\n]{1,60}\}#|(?:([A-Z])\1{2,9}[/_-]?){2,8}|\$\{\{[^{}\r\n]{1,80}\}\}|\$env:\w{1,60}|\$\([^()\r\n]{1,400}\)"
    r"|[\w-]{0,12}[*•]{4,64}[\w-]{0,6}|\[?(?i:redacted|masked|hidden|filtered)\]?|process\.env\.\w{1,60}|os\.environ\[[^\]]{1,60}\]"
    # Where another program finds the secret, or what it calls it.
    r"|=[\w' +]{0,30}\{\{[^\r\n]{1,200}\}\}|![A-Za-z]{2,12}(?: [\w./-]{1,60})?|ENC\[[^\]\r\n]{3,400}\]"
    r"|(?:vault|ssm|op|sm|awssm|gcp-secret|gsm|env|secretref|keyvault|akv|doppler|bws|infisical|sops|file)(?:\+[a-z]{1,20})?:"
    r"(?://)?[\w./@#:$?=-]{2,200}|arn:aws[\w-]{0,8}:(?:secretsmanager|ssm|kms):[\w:/.+=@*-]{3,300}"
    r"|\.{1,2}/[\w./-]{1,120}\.[a-z]{2,5}|/(?:run|var/run|etc|mnt)/[\w./-]{2,120}|projects/[\w.-]{1,60}/secrets/[\w./-]{1,120}"
    r"|(?:[a-z]{1,20}-){1,4}(?:secrets?|tls|passwords?|credentials?|creds|tokens?)"
    # What hides all of the secret but its ends, or says that there is none.
    r"|[\w-]{0,12}\.{3}[\w-]{2,6}|[*xX•#-]{4,30}[0-9]{4}|\((?:[a-z/]{1,20} ){0,4}[a-z/]{1,20}\)|(?i:n/?a)|-{1,3}"
)
_REFERENCE = expression(
    r"[$@&*]?(?=(?:var|local|locals|env|process|os|config|settings|self|this|secrets|args|options|params|request|req|ctx|props"
    r"|data|module|vars|inputs|steps|values|Values)(?![A-Za-z0-9])|[^\s([]*[(\[]|\S*(?i:pass|secret|token|key|cred))"
    r"[A-Za-z_]\w{0,40}(?:(?:\??\.|::|->)[A-Za-z_]\w{0,40}){1,6}(?:\[[^\[\]\r\n]{0,60}\]?|\([^\r\n]*)?;?"
    r"|[$@]?[A-Za-z_]\w{0,40}\[(?:[\"'][\w.: -]{1,60}[\"']\]?;?)?"
    r"|[A-Za-z_]\w{0,40}(?:\[(?:-?[0-9]{0,3}:?-?[0-9]{0,3}|:\w{1,40})\]){1,3};?|\[[a-z]\w{0,20}\.[a-z_]\w{0,40}"
    r"|[A-Za-z_]\w{0,40}\((?:[^\r\n\"']*|[\"'][\w .:/-]{0,40}[\"']?\)?)\)?;?|Read-Host"
)
"""What code takes a secret from: ``settings.get("api_key")``, ``var.db_password``."""
_PUBLIC = expression(
    r"(?:[\w.-]{1,64}:)?(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\w{1,20}|sk-\w{1,40}@openssh\.com) AAAA[\w+/=]+"
    r"(?: .{0,100})?"
    r"|\s*-----BEGIN (?:[A-Z0-9 ]{0,30}PUBLIC KEY|CERTIFICATE|CERTIFICATE REQUEST|X509 CRL)-----"
    r"[^-]+-----END [A-Z0-9 ]{1,40}-----\s*"
    r"|pk_(?:live|test)_\w{8,}|age1[0-9a-z]{58}"
)
"""Public keys and certificates: https://www.rfc-editor.org/rfc/rfc4253#section-6.6, https://docs.stripe.com/keys,
https://age-encryption.org/v1."""
_CIPHER = expression(
    r"(?i)(?:aes|des|3des|sha|rsa|md|hmac|rs|es|hs|ps|pbkdf|argon|utf|iso|tls|ssl|ecdsa|ed|chacha|blake)[-_/]?\w{0,5}(?:[-_/]\w{1,12}){0,4}"
)
_PART = r"(?:aes|des|sha|rsa|hmac|ecdsa|rs|es|hs|ps|md|ed|dsa|pss|pkcs|oaep|with|and|gcm|cbc|ctr|bit|sigv?)"
_ALGORITHM = expression(
    rf"(?i)(?=[^A-Za-z]*[A-Za-z])(?:{_PART}[0-9]{{0,5}}|[0-9]{{3}})(?:[-_/]?(?:{_PART}[0-9]{{0,5}}|[0-9]{{3}})){{0,4}}"
)


def is_placeholder(text: str) -> bool:
    """Whether a text stands for a secret that is set elsewhere, behind a scheme, too: ``Bearer $TOKEN``."""
    if len(text) > _CHARS:
        return False
    text = text.strip("\"'\\ ")
    scheme, _, rest = text.partition(" ")
    return _PLACEHOLDER.fullmatch(rest.lstrip() if scheme.lower() in CREDENTIAL_SCHEMES else text) is not None


def is_reference(text: str) -> bool:
    """Whether a word of code says where a secret is taken from, and is none."""
    return len(text) <= _REFERENCE_CHARS and _REFERENCE.fullmatch(text) is not None


def is_public(text: str) -> bool:
    """Whether a text is a public key or a certificate."""
    return _PUBLIC.fullmatch(text) is not None


def is_cipher(value: str) -> bool:
    """Whether a text is the name of a cipher, a hash or an encoding, such as ``aes-256-gcm``."""
    return len(value) <= 40 and _CIPHER.fullmatch(value) is not None


def is_algorithm(value: str) -> bool:
    """Whether a text is words of algorithms alone, such as ``RSA-SHA256`` and ``ecdsa-with-SHA384``."""
    return len(value) <= 40 and _ALGORITHM.fullmatch(value) is not None
