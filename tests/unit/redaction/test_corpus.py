"""Promises of redaction over corpora of secrets and ordinary objects: at most 5 % missed, at most 2 % damaged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from task_history.redaction.redactor import Redactor

from . import corpus, written

CORPORA = {"first": corpus.FIRST, "second": corpus.SECOND, "third": corpus.THIRD}
SECRETS = 600
ARGUABLE = ({"exposedHeaders": ["X-Auth-Token", "ETag2"]},)
"""Ordinary objects that cannot be told from secrets: a name, and a word with a digit beside it."""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("chosen", CORPORA.values(), ids=CORPORA)
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_secrets_go(chosen: corpus.Corpus, mode: str) -> None:
    """No secret of the corpus is left, in either mode."""
    redactor = Redactor(mode=mode)
    left = []
    for label, value, secret in chosen.secrets(SECRETS):
        new = _text(redactor.payload(value).value)
        # What is encoded whole does not show the secret before, either.
        if secret in new or secret[-8:] in new or new == _text(value):
            left.append(label)
    assert left == []


@pytest.mark.parametrize("chosen", CORPORA.values(), ids=CORPORA)
def test_ordinary_objects_stay(chosen: corpus.Corpus) -> None:
    """Every ordinary object of the corpus stays, but for those that are listed as arguable."""
    redactor = Redactor()
    damaged = [value for value in chosen.ordinary if redactor.payload(value).value != value]
    assert [value for value in damaged if value not in ARGUABLE] == []


@pytest.mark.parametrize("value", ARGUABLE)
def test_what_is_arguable_is_damaged(value: Any) -> None:
    """The list of arguable objects holds no more than those that are damaged."""
    assert Redactor().payload(value).value != value


WRITTEN = (
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
)
LEFT = {
    # Encrypted, or known to be a secret by what stands beside it only.
    "fourth": (
        '{"crypto":{"cipher":"aes-128-ctr","ciphertext":"«hex64»","kdf":"scrypt"},"version":3}',
        '{"salt":"«hex32»","hash":"«hex64»","password_salt":"‹hex32›"}',
        'password = getpass() or "«pw»"',
    ),
    "fifth": (
        '{"attributeName":"pincode_atm","attributeValue":"«pin4»"}',
        '{"param":"secret","arg":"«aln24»"}',
        '@b32 {"password":"«pw»"}',
        "cio-«aln40»",
        'auth_token := os.Getenv("X") // «aln40»',
        '{"secretRef":{"plain":"«aln24»"}}',
    ),
    "sixth": (),
    "seventh": ("Connecting as bob:«pw»@host",),
    "eighth": (),
    "ninth": ('{"entry":{"type":"lockbox","code":"«aln9»"}}',),
    # Values in forms without a name of a secret, or with one that names other things as often.
    "tenth": (
        '{"payment_method_nonce":"tokencc_«low24»"}',
        '{"zigbee":{"network_key":[1,3],"ext_pan":"«hex32»"}}',
        '{"ltk":"«hex32»"}',
        '{"ki":"«HEX32»","opc":"«HEX32»","imsi":"001010000000001"}',
        '{"community":"«aln9»"}',
        "config system admin\\n edit admin\\n set password ENC «b64_24»\\nend",
        "az ad sp credential reset --id x --query password -o tsv\\n«aln34»",
        "unrar x -p«aln12» a.rar",
        "bundle config gems.x.co bob:«aln12»",
        "gcloud secrets versions add x --data-file=- <<< «aln12»",
        "user/pass: bob/«pwa»",
        "bob:«pwa» works for staging",
        '{"hostKey":"«otp»","hostPin":"«pin4»"}',
        '{"nsec":"nsec1«low58»"}',
        '{"httpBasic":"bob:«aln12»"}',
        '{"login":"bob:«aln12»"}',
        '{"params":{"appid":"«hex32»"}}',
        "https://x.chargebee.com/pages/v3/«aln32»/",
        "https://docs.google.com/forms?edit2=2_ABaOnu«aln60»",
        '{"ical_url":"https://x.co/cal/«hex32».ics"}',
        '{"args":["-p","«pwa»","--password","«pwa»"]}',
        '{"data":{"data":{"value":"«pwa»"}},"path":"secret/db/password"}',
        '{"unseal_keys_b64":["«b64_33»"],"root_token":"hvs.«aln24»"}',
        '{"lock":{"userCode":"«pin4»"}}',
        '{"tan":"«otp»"}',
        '{"psuCredentials":{"tan":"«otp»"}}',
        '{"hCaptcha":"0x«hex40»"}',
        '{"aesKey":"«b64_32»","iv":"«b64_16»"}',
        '{"keyValue":"«aln32»","keyName":"ci"}',
        '{"integration":{"routing_key":"R01«up28»"}}',
    ),
    "eleventh": ('{"request":{"url":"https://x.co/token"},"response":{"body":"\\"«low32»\\""}}',),
    "twelfth": (),
    "thirteenth": (),
}
"""Secrets that are not found."""
DAMAGED = {
    # Names of secrets, over values that may be one.
    "fourth": (
        '{"hubspot":{"vid":3234574,"canonical-vid":3234574,"portal-id":62515,"profile-token":"AO_T-m123","is-contact":true}}',
        '{"signature":"‹b58_88›","slot":250112233,"err":null}',
        '{"es":{"password_label":"Contraseña","secret_question":"Pregunta secreta"}}',
        '{"hotkeys":{"key":"ctrl+k","keyCode":75,"accessKey":"k"}}',
        '{"session_id":"‹uuid›","session_count":12,"session_duration":331}',
        '{"feature_flags":{"new-password-flow":true,"token-v2":"variant_b"}}',
    ),
    "fifth": ('{"sessionId":"s-17","session":{"number":3,"name":"Day two"}}',),
    "sixth": (),
    "seventh": (),
    "eighth": (),
    # Numbers, ids and words under names that are those of secrets as often.
    "ninth": (
        '{"order":{"id":450789469,"token":"b1946ac92492d2347c6235b4d2611184","name":"#1001","total_price":"409.94","gateway":"authorize_net"}}',
        '{"kind":"bigquery#job","id":"alder:EU.bquxjob_5a1b2c3d_18f0","statistics":{"sessionInfo":{"sessionId":"CgwKCmZhbGluZy1qb2IQARokNGE"}}}',
        '{"license":"Apache-2.0","license_key":"apache-2.0","spdx_id":"Apache-2.0"}',
        '{"EventLogFile":{"EventType":"Login","SESSION_KEY":"l+eHGqtKIGUBPXRq","LOGIN_KEY":"GeJCsym5eyvtEK2I"}}',
        '{"radar":{"session":"rse_1N2abcLkdIwHu7ix","risk_score":12,"rule":"block_if_cvc_fails"}}',
        '{"kind":"ExternalSecret","spec":{"refreshInterval":"1h","secretStoreRef":{"name":"vault","kind":"SecretStore"},"data":[{"secretKey":"db","remoteRef":{"key":"prod/db","property":"password"}}]}}',
        '{"kind":"Ingress","spec":{"tls":[{"hosts":["alder.example"],"secretName":"alder-tls"}]},"annotations":{"nginx.ingress.kubernetes.io/auth-type":"basic","nginx.ingress.kubernetes.io/auth-secret":"basic-auth"}}',
        "Session ID: 88123\\nDuration: 33 min\\nAgent: Mara",
        "<order><key>ORD-88123</key><auth>none</auth><pin>560001</pin><city>Bengaluru</city></order>",
        '{"exam":{"seed":1,"key_stage":"KS3","pass":"merit","invigilator":"Lin"}}',
        '{"consignment":{"ref":"C-88123","pin":"top-left","signature_name":"J DOE","pod":"yes"}}',
        '{"prescription":{"sig_code":"BID","daw":0,"auth":"Dr. Lin","token":"paper"}}',
        '{"match":{"server_key":"eu-2","lobby":"open","secret_objective":"hold the tower"}}',
        '{"gate":{"pass":"GP-8812","driver_pin":"not set","seal_intact":true}}',
        "Token limit exceeded: 128512 > 128000",
    ),
    # Names of strong secrets over words, and ids that look like secrets.
    "tenth": (
        '{"secret":{"engine":"kv-v2","mount":"secret","owner":"core"}}',
        '{"device_code":"SM-G991B"}',
        '{"key":"dQw4w9WgXcQ"}',
        '{"auth":{"existingSecret":"db-credentials","secretKeys":{"adminPasswordKey":"postgres-password"}}}',
        '{"cvv_response_code":"M"}',
        '{"secret":"ingredient"}',
        '{"env":{"API_KEY":{"from_secret":"api_key"}}}',
        '{"password":"keyring"}',
        '{"text":"The secret: good coffee"}',
        "* password: strength meter\\n* cookie: banner text",
        '{"key_id":"012345678912345678","key":"2Sg8iYjAxxmI2LvUXpJjkYrMxURPc8r+dB7TJyvv1234"}',
        '{"form_response":{"token":"a3a12ec67a1365927098a606107fac15","answers":[{"type":"text","text":"Blue","field":{"ref":"fav_color"}}]}}',
        '{"authorisation":{"authCode":"058921","result":"Authorised"}}',
        '{"openapi":"3.0.0","components":{"schemas":{"Login":{"type":"object","required":["password"],"properties":{"password":{"type":"string","example":"secret","format":"password"}}}}}}',
        "secrets:\\n  db_password:\\n    file: ./db_password.txt",
    ),
    "eleventh": (),
    "twelfth": (),
    "thirteenth": (),
}
"""Ordinary objects that are damaged."""


@pytest.mark.parametrize("name", WRITTEN)
def test_written_secrets_go(name: str) -> None:
    """Of the written secrets only those are left that are listed."""
    redactor = Redactor()
    left = [
        line.text
        for line in written.lines(f"{name}_secrets")
        if line.is_left_in(_text(redactor.payload(line.value).value))
    ]
    assert left == [text for text in left if text in LEFT[name]]


@pytest.mark.parametrize("name", WRITTEN)
def test_written_ordinary_lines_stay(name: str) -> None:
    """Of the written ordinary lines only those are damaged that are listed."""
    redactor = Redactor()
    damaged = [
        line.text
        for line in written.lines(f"{name}_ordinary")
        if redactor.payload(line.value).value != line.value
    ]
    assert damaged == [text for text in damaged if text in DAMAGED[name]]
