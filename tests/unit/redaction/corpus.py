"""Made-up secrets and ordinary objects in many names and forms: what redaction is measured with.

Each corpus was measured before any rule was mended for it. Each secret is put together when it is asked for, so that no scanner of repositories takes this file for a leak.
"""

# ruff: noqa: E501, PLC3002, SIM905
# One object a line reads as a table; a secret is made and set into its form in one expression.

from __future__ import annotations

import base64
import gzip
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

Form = Callable[[str, str], Any]


@dataclass(frozen=True)
class Corpus:
    """Names of secrets, and the forms in which a name and its value are written."""

    seed: int
    names: tuple[str, ...]
    forms: dict[str, Form]
    nameless: dict[str, Callable[[random.Random], tuple[Any, str]]]
    ordinary: tuple[Any, ...]

    def secrets(self, count: int) -> Iterator[tuple[str, Any, str]]:
        """So many secrets: a label, the object that holds it, and what may not be left of it."""
        choices = random.Random(self.seed)
        nameless = list(self.nameless.items())
        forms = list(self.forms.items())
        for number in range(count):
            if number % 6 == 5:
                label, make = nameless[number // 6 % len(nameless)]
                value, secret = make(choices)
                yield label, value, secret
                continue
            name = self.names[number % len(self.names)]
            label, form = forms[choices.randrange(len(forms))]
            secret = a_secret(choices)
            yield f"{label}: {name}", form(name, secret), secret


def letters(choices: random.Random, alphabet: str, count: int) -> str:
    return "".join(choices.choices(alphabet, k=count))


ALNUM = string.ascii_letters + string.digits


def a_secret(choices: random.Random) -> str:
    """A value such as people and machines choose for a secret."""
    kind = choices.randrange(6)
    if kind == 0:
        return letters(choices, "0123456789abcdef", choices.choice((32, 40, 64)))
    if kind == 1:
        return letters(choices, ALNUM + "_-", choices.randrange(20, 44)) + "a1"
    if kind == 2:
        word = choices.choice(("Falcon", "winter", "Dragon", "coffee", "Lisboa", "turtle"))
        return word + letters(choices, string.digits, 3) + choices.choice("!#*?$")
    if kind == 3:
        return (
            letters(choices, string.ascii_lowercase + string.digits, 5)
            + "-"
            + letters(choices, ALNUM, 6)
            + "7x"
        )
    if kind == 4:
        return base64.b64encode(choices.randbytes(24)).decode()
    return letters(choices, ALNUM, 12) + "q9"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def in_json(name: str, secret: str) -> str:
    return json.dumps({"host": "db.test", name: secret, "port": 5432})


def xml_safe(name: str) -> str:
    return name.replace(" ", "_")


FIRST = Corpus(
    seed=1,
    names=tuple(
        "dbPass smtpPwd admin_pw rootPassword keystorePassword truststore.password spring.datasource.password "
        "JWT_SIGNING_KEY NEXTAUTH_SECRET SECRET_KEY_BASE STRIPE_WEBHOOK_SECRET sasToken SharedAccessKey "
        "storageAccountKey bearerToken X-Vault-Token PRIVATE-TOKEN api_token apitoken idToken fcm_token "
        "oauth_token_secret consumerSecret ssh_private_key rsaPrivateKey otpSecret totp_secret 2fa_secret backupCode "
        "recoveryCode securityAnswer cardPin cvv2 cardCvc cardNumber ssn socialSecurityNumber wifiPassword "
        "lockCode doorCode root_token masterPassword licenseKey activationKey enrollmentToken joinToken "
        "bootstrapToken registrationToken resetToken sessionToken sessionKey PHPSESSID JSESSIONID "
        "csrfmiddlewaretoken authenticity_token webhookSecret signingSecret hmacKey sharedSecret preSharedKey "
        "enable_secret bindPassword pfxPassword certPassword keyPassphrase walletPrivateKey Contraseña Passwort "
        "mot_de_passe senhaAtual wachtwoord пароль 密码 비밀번호 hasło".split()
    ),
    forms={
        "object": lambda name, secret: {"user": "bob", name: secret},
        "nested": lambda name, secret: {"config": {"items": [{"settings": {name: secret}}]}},
        "json text": lambda name, secret: {"body": in_json(name, secret)},
        "json in json": lambda name, secret: json.dumps({"event": in_json(name, secret)}),
        "cut json": lambda name, secret: in_json(name, secret)[:-12],
        "form": lambda name, secret: urlencode({"a": 1, name: secret, "b": 2}),
        "query": lambda name, secret: f"https://api.test/v1/x?{urlencode({name: secret})}&page=2",
        "quoted json": lambda name, secret: "payload=" + quote(in_json(name, secret)),
        "quoted twice": lambda name, secret: "payload=" + quote(quote(in_json(name, secret))),
        "plus json": lambda name, secret: "data=" + quote_plus(in_json(name, secret)),
        "log": lambda name, secret: f"2026-01-01 INFO connect host=db {name}={secret} retries=3",
        "header": lambda name, secret: f"GET / HTTP/1.1\r\nHost: a.test\r\n{name}: {secret}\r\nAccept: */*",
        "yaml": lambda name, secret: f"db:\n  host: x\n  {name}: {secret}\n  port: 1",
        "ini": lambda name, secret: f"[main]\nhost = x\n{name} = {secret}\n",
        "xml": lambda name, secret: f"<cfg><{xml_safe(name)}>{secret}</{xml_safe(name)}></cfg>",
        "xml attribute": lambda name, secret: f'<user id="1" {xml_safe(name)}="{secret}" active="true"/>',
        "python": lambda name, secret: repr({"user": "bob", name: secret}),
        "java": lambda name, secret: "Config{" + f"host=x, {name}={secret}" + "}",
        "name and value": lambda name, secret: {"name": name, "value": secret},
        "fieldName and fieldValue": lambda name, secret: [{"fieldName": name, "fieldValue": secret}],
        "attribute and content": lambda name, secret: {"attribute": name, "content": secret},
        "columns and rows": lambda name, secret: {"columns": ["id", name], "rows": [[1, secret], [2, secret]]},
        "csv": lambda name, secret: f"id,{name},active\n1,{secret},true\n",
        "tsv": lambda name, secret: f"id\t{name}\n1\t{secret}\n",
        "markdown": lambda name, secret: f"| id | {name} |\n|---|---|\n| 1 | {secret} |\n",
        "sql": lambda name, secret: f"INSERT INTO t (id, `{name}`) VALUES (1, '{secret}')",
        "flag": lambda name, secret: f"run --{name.lower()} {secret} --verbose",
        "base64 json": lambda name, secret: {"blob": b64(in_json(name, secret))},
        "gzip": lambda name, secret: base64.b64encode(gzip.compress(in_json(name, secret).encode(), mtime=0)).decode(),
        "hex": lambda name, secret: in_json(name, secret).encode().hex(),
        "html": lambda name, secret: f'<input name="{name}" type="text" value="{secret}">',
    },
    nameless={
        "basic": lambda c: (lambda s: ("Authorization: Basic " + b64("bob:" + s), b64("bob:" + s)))(a_secret(c)),
        "url login": lambda c: (lambda s: (f"amqp://bob:{s}@mq.test:5672/v", s))(letters(c, ALNUM, 14)),
        "url login with a slash": lambda c: (lambda s: (f"mongodb://bob:{s}@mq.test/v", s))("ab/" + letters(c, ALNUM, 9)),
        "bearer": lambda c: (lambda s: ({"note": f"sent Bearer {s} to it"}, s))(letters(c, ALNUM, 30) + "1a"),
        "github": lambda c: (lambda s: (f"remote uses {s} now", s))("ghs" + "_" + letters(c, ALNUM, 36)),
        "gitlab runner": lambda c: (lambda s: ([s], s))("glrt" + "-" + letters(c, ALNUM, 20)),
        "pinecone": lambda c: (lambda s: ({"x": s}, s))("pcsk" + "_" + letters(c, ALNUM, 60)),
        "tailscale": lambda c: (lambda s: (f"up {s}", s))("tskey" + "-auth-" + letters(c, ALNUM, 12) + "-" + letters(c, ALNUM, 24)),
        "dynatrace": lambda c: (lambda s: ({"x": [s]}, s))(
            "dt0" + "c01." + letters(c, string.ascii_uppercase, 24) + "." + letters(c, string.ascii_uppercase, 64)
        ),
        "discord webhook": lambda c: (lambda s: (f"https://discord.com/api/webhooks/123456789/{s}", s))(letters(c, ALNUM, 68)),
        "zapier": lambda c: (lambda s: (f"post to https://hooks.zapier.com/hooks/catch/{s}/", s))("12345/" + letters(c, ALNUM, 9)),
        "pem": lambda c: (lambda s: ("-----BEGIN EC " + f"PRIVATE KEY-----\n{s}\n-----END EC " + "PRIVATE KEY-----", s))(
            letters(c, ALNUM, 64)
        ),
        "putty": lambda c: (lambda s: (f"PuTTY-User-Key-File-2: x\nPrivate-Lines: 1\n{s}\nPrivate-MAC: 0", s))(
            letters(c, ALNUM, 64)
        ),
        "redis": lambda c: (lambda s: (f"redis-cli -h x -a {s} ping", s))(letters(c, ALNUM, 12)),
        "arguments": lambda c: (lambda s: (["psql", "--password", s], s))(a_secret(c)),
        "smtp": lambda c: (lambda s: (f"C: AUTH PLAIN {s}", s))(b64("\0bob\0" + letters(c, ALNUM, 9))),
        "words": lambda c: ("password: marble copper giraffe", "copper giraffe"),
    },
    ordinary=(
        {"key": "65f1a2b3c4d5e6f708192a3b"}, {"key": "price_1MoBy5LkdIwHu7ixZhnattbh"}, {"key": "reports/2026/01/summary-4f2a.pdf"},
        {"key": "AB-1234-XL"}, {"key": "SKU-88213"}, {"key": "DE0007164600"}, {"key": "customer.address.city"},
        {"key": "2026-01-05T10:00:00Z"}, {"key": "ORDER_2026_00017"}, {"session": "Afternoon panel"}, {"session": "Keynote"},
        {"session": 3}, {"sessions": 12}, {"session_name": "plenary-7b2"}, {"token": "BTC"}, {"token": "stETH"},
        {"tokens": {"input": 12, "output": 90}}, {"tokens": ["USDC", "DAI"]}, {"token_count": 3}, {"maxTokens": 4096},
        {"tokenSupply": "1000000"}, {"tokenName": "Uniswap v3x2"}, {"signature": "Best, Anna"}, {"signature": "Mit freundlichen Grüßen"},
        {"pinCode": 110001}, {"pincode": "400001"}, {"pinned": "a1b2c3d4e5"}, {"boardingPass": "LH-44-12A"}, {"passes": 3},
        {"passed": "all 12 of 12"}, {"cookieConsent": "necessary"}, {"cookieBanner": "v2-dark"}, {"auth": "saml2"},
        {"auth": "none"}, {"authMethod": "oauth2-pkce"}, {"authorization": "pending"}, {"authorized": "a1b2c3"},
        {"author": "bob77x"}, {"authority": "https://login.test/9f8e"}, {"isin": "FR0000120271"},
        {"type": "object", "properties": {"password": {"type": "string", "format": "password"}, "secret": {"type": "string"}}},
        {"required": ["username", "password", "token"]}, {"passwordPolicy": {"min": 12}}, {"password_expires_at": "2026-05-01"},
        {"secretName": "prod/db-7x2"}, {"secretArn": "arn:aws:secretsmanager:eu:1:secret:db-7x2"}, {"keyboard": "us-intl-7x2"},
        {"keyId": "9f8e7d6c5b4a"}, {"publicKey": "MFkwEwYHKoZIzj0CAQ7x"}, {"primaryKey": "id_7x2b9"}, {"partitionKey": "tenant#7x2b9c"},
        {"cacheKey": "user:7x2b9c:v2"}, {"sortKey": "2026#7x2b9c"}, {"idempotencyKey": "7x2b9c-aa11-bb22"}, {"nextPageToken": "CAoQAA7x2b9c"},
        {"cursor": "eyJpZCI6MTJ9"}, {"etag": "7x2b9caa11bb22cc33"}, {"sha": "16c7e42f292c6912e7710c838347ae178b4a0000"},
        {"id": "c70cafa5-4f80-45c7-b5b3-71454f6d638d"}, {"traceId": "4bf92f3577b34da6a3ce929d0e0e4736"},
        {"requestId": "req_7x2b9caa11bb"}, {"zipCode": "94107"}, {"countryCode": "DE"}, {"errorCode": "E1042x7"},
        {"statusCode": 200}, {"couponCode": "SPRING26X7"}, {"productCode": "AX-99-7b"}, {"pinterest": "board7x2"},
        {"seed": 42}, {"ticket": "SUP-1042"}, {"ticketId": "18842"}, {"pattern": "^[a-z0-9]+$"}, {"path": "/v1/x7b2/y"},
        {"label": "Password", "type": "text", "required": True}, {"title": "Reset your password", "text": "Click the button below"},
        {"name": "token", "description": "The currency of the pool"}, {"field": "surname", "value": "Smith-7x2"},
        {"columns": ["id", "email"], "rows": [[1, "bob7x2@x.test"]]}, [["id", "city"], [1, "Zq7-x"]],
        {"headers": ["Content-Type", "application/json", "Accept", "*/*"]}, {"allowHeaders": ["Authorization", "X-Api-Key"]},
        "Invalid password: try again", "token: expired", "Session: Opening keynote with Dr. Smith", "the key figures of 2026 are 12, 14",
        "https://shop.test/items/7x2b9caa11?page=2&sort=asc", "see https://x.test:8080/path@2x.png", "user=bob&city=Paris&n=7x2b9",
        "SELECT id, password FROM users WHERE id = 3", "CREATE TABLE t (id int, password text, token text)",
        "password must have 12 characters", "git checkout 16c7e42f292c6912", "docker run -p 8080:80 web7x2", "ssh -p 2222 bob@h7x2",
        "mkdir -p /a/b7x2", "<input type='text' name='city' value='Paris7x2'>", "id,city\n1,Paris7x2\n", "| id | city |\n|---|---|\n| 1 | P7x2 |",
        base64.b64encode(b"The quick brown fox jumps over the lazy dog").decode(), b"plain text of a report, nothing else".hex(),
    ),
)  # fmt: skip

SECOND = Corpus(
    seed=2,
    names=tuple(
        "MYSQL_ROOT_PASSWORD POSTGRES_PASSWORD pgPassword mqttPassword ftp_password sudoPassword unlockPassword "
        "newPassword old_password confirmPassword password1 user_pass loginPassword basicAuthPassword proxyPassword "
        "DJANGO_SECRET_KEY clientSecretValue appSecret channelSecret verifyToken pageAccessToken longLivedToken "
        "x-goog-api-key x-functions-key Ocp-Apim-Subscription-Key DD-API-KEY X-Auth-Key X-Figma-Token "
        "githubToken GITLAB_TOKEN npm_token slackBotToken telegramBotToken sentryAuthToken dockerPassword "
        "kubeconfigToken serviceAccountKey privateKeyPem private_key_base64 sshPassphrase gpgPassphrase "
        "encryptionPassword databaseUrlPassword accessKeySecret aws_session_token secretAccessKey "
        "azureClientSecret sasKey functionKey hostKeySecret apiSecretKey merchantKeySecret gatewayPassword "
        "terminalPin accountPin parentalPin simPin otpCode verificationCode mfaCode authCode gateCode safeCode "
        "alarmCode vaultCode cvc securityCode cardSecurityCode ccNumber creditCardNumber "
        "seedPhrase recoveryPhrase mnemonic xprv wifi_psk passcode secretAnswer magicLink loginToken "
        "rememberMeToken remember_token deviceSecret turnCredential credential sipPassword "
        "clave_secreta contrasena motDePasse senha geheimnis heslo şifre salasana lösenord パスワード סיסמה".split()
    ),
    forms={
        "list of objects": lambda name, secret: [{"id": 1, "env": [{"data": {name: secret}}]}],
        "indented json": lambda name, secret: json.dumps({"a": {name: secret}}, indent=2),
        "json lines": lambda name, secret: f'{{"a": 1}}\n{json.dumps({name: secret})}\n',
        "json three times": lambda name, secret: json.dumps(json.dumps({"a": json.dumps({name: secret})})),
        "javascript": lambda name, secret: "const config = { host: 'x', '" + name + f"': '{secret}', port: 1 }};",
        "single quotes": lambda name, secret: f"{name} = '{secret}'",
        "export": lambda name, secret: f'export {name}="{secret}"\nexport A=1',
        "dotenv": lambda name, secret: f"HOST=x\n{name}={secret}\nPORT=1\n",
        "docker": lambda name, secret: f"docker run -e {name}={secret} -e A=1 image",
        "curl": lambda name, secret: f"curl -s -H '{name}: {secret}' https://api.test",
        "curl data": lambda name, secret: f"curl -d '{in_json(name, secret)}' https://api.test",
        "form quoted": lambda name, secret: "body=" + quote(urlencode({name: secret, "b": 2}), safe=""),
        "cookie style": lambda name, secret: f"a=1; {name}={secret}; b=2",
        "connection": lambda name, secret: f"Server=x;Database=y;{name}={secret};Encrypt=true",
        "toml": lambda name, secret: f'[db]\n"{name}" = "{secret}"\nport = 1',
        "properties": lambda name, secret: f"app.db.{name}={secret}\napp.port=1",
        "ruby": lambda name, secret: f'{{"user"=>"bob", "{name}"=>"{secret}"}}',
        "php": lambda name, secret: f"array('user' => 'bob', '{name}' => '{secret}')",
        "go": lambda name, secret: f"map[{name}:{secret} user:bob]",
        "soap": lambda name, secret: f"<s:Body><n:{xml_safe(name)} t='x'>{secret}</n:{xml_safe(name)}></s:Body>",
        "escaped xml": lambda name, secret: f"&lt;{xml_safe(name)}&gt;{secret}&lt;/{xml_safe(name)}&gt;",
        "json in html": lambda name, secret: in_json(name, secret).replace('"', "&quot;"),
        "key and text": lambda name, secret: {"key": name, "text": secret},
        "id and value": lambda name, secret: {"id": name, "value": secret, "type": "string"},
        "title and input": lambda name, secret: {"title": name, "input": secret},
        "question and answer": lambda name, secret: {"question": name, "answer": secret},
        "parallel lists": lambda name, secret: {"keys": ["host", name], "values": ["x", secret]},
        "header row": lambda name, secret: [["id", name, "ok"], [1, secret, True]],
        "flat list": lambda name, secret: {"rawHeaders": ["Host", "x", name, secret]},
        "bigquery": lambda name, secret: {"fields": [{"name": "a"}, {"name": name}], "rows": [{"f": [{"v": 1}, {"v": secret}]}]},
        "semicolons": lambda name, secret: f'"id";"{name}"\r\n"1";"{secret}"\r\n',
        "query result": lambda name, secret: f" id | {name} \n----+------\n  1 | {secret}\n",
        "insert": lambda name, secret: f'insert into "a"."t" ("id","{name}") values (1,\'{secret}\'),(2,\'x\')',
        "base64 form": lambda name, secret: {"state": b64(urlencode({"u": "bob", name: secret}))},
        "base64 twice": lambda name, secret: b64(b64(in_json(name, secret))),
        "base64 in a log": lambda name, secret: f"received {b64(in_json(name, secret))} from x",
        "hidden input": lambda name, secret: f"<input type=hidden name={xml_safe(name)} value='{secret}'/>",
        "escapes": lambda name, secret: "".join(f"\\u{ord(c):04x}" for c in name) + f": {secret}",
    },
    nameless={
        "password input": lambda c: (lambda s: (f"<input value='{s}' type='password' id='x1'>", s))(letters(c, ALNUM, 9)),
        "smb": lambda c: (lambda s: (f"sshpass -p '{s}' scp a b", s))(a_secret(c)),
        "user and password": lambda c: (lambda s: (f"curl --user bob:{s} https://x.test", s))(letters(c, ALNUM, 10)),
        "ftp": lambda c: (lambda s: ({"u": f"sftp://bob:{s}@f.test:22/d"}, s))(letters(c, ALNUM, 10) + "%23"),
        "perplexity": lambda c: (lambda s: (s, s))("pplx" + "-" + letters(c, ALNUM, 48)),
        "circleci": lambda c: (lambda s: ({"x": s}, s))("CCIPAT" + "_" + letters(c, ALNUM, 22) + "_" + letters(c, "abcdef0123", 40)),
        "render": lambda c: (lambda s: (f"use {s}.", s))("rnd" + "_" + letters(c, ALNUM, 32)),
        "rubygems": lambda c: (lambda s: ([{"a": s}], s))("rubygems" + "_" + letters(c, "abcdef0123", 48)),
        "npm": lambda c: (lambda s: (f"//registry.test/:_authToken={s}", s))("npm" + "_" + letters(c, ALNUM, 36)),
        "slack app": lambda c: (lambda s: (f"({s})", s))("xapp" + "-1-A012-123-" + letters(c, "abcdef0123", 40)),
        "openai": lambda c: (lambda s: ({"x": s}, s))("sk" + "-proj-" + letters(c, ALNUM, 60)),
        "teams": lambda c: (lambda s: (f"https://x1.webhook.office.com/webhookb2/{s}", s))("a1b2/IncomingWebhook/" + letters(c, ALNUM, 32)),
        "jwt": lambda c: (lambda s: ({"x": f"got {s} ok"}, s))(
            b64('{"alg":"HS256"}').rstrip("=") + "." + b64('{"sub":"1"}').rstrip("=") + "." + letters(c, ALNUM, 40)
        ),
        "ssh2": lambda c: (lambda s: (f"---- BEGIN SSH2 ENCRYPTED {'PRIVATE'} KEY ----\n{s}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----", s))(
            letters(c, ALNUM, 60)
        ),
        "pem in base64": lambda c: (lambda s: ({"d": b64(s)}, b64(s)[40:]))(
            "-----BEGIN " + "PRIVATE KEY-----\n" + letters(c, ALNUM, 64) + "\n-----END PRIVATE KEY-----\n"
        ),
        "identified": lambda c: (lambda s: (f"ALTER USER bob IDENTIFIED BY '{s}'", s))(a_secret(c)),
        "tuple": lambda c: (lambda s: (f"auth=('bob', '{s}')", s))(letters(c, ALNUM, 9) + "1"),
        "said": lambda c: (lambda s: (f"Your password is {s} until noon", s))(letters(c, ALNUM, 9) + "1"),
        "words": lambda c: ("passphrase: velvet anchor morning tiger", "anchor morning"),
    },
    ordinary=(
        {"key": "6601c0ffee6601c0ffee6601"}, {"key": "sub_1NXvQ2LkdIwHu7ix"}, {"key": "images/avatar_7f3c9e.png"}, {"key": "s3://bucket/raw/2026/x7.csv"},
        {"key": "MUG-WHT-330"}, {"key": "PO-2026-0042"}, {"key": "IE00B4L5Y983"}, {"key": "order_items.0.price"}, {"key": "step-3"},
        {"key": "en-US"}, {"session": "Room B, Tuesday"}, {"session": "Yoga"}, {"sessionCount": "12x"}, {"sessionLength": "45m"},
        {"token": "MATIC"}, {"token": "WETH", "amount": "1.5"}, {"tokenAddress": "0x6B175474E89094C44Da98b954EedeAC495271d0F"},
        {"tokenId": 8812}, {"tokenStandard": "ERC-721x"}, {"tokenType": "Bearer"}, {"usage": {"prompt_tokens": 3, "total_tokens": 9}},
        {"tokens": 512}, {"signature": "Sincerely, Dr. Jane Roe"}, {"signatureRequired": "y1"}, {"signatureStatus": "signed-2"},
        {"pinCode": "560034"}, {"pin": None}, {"mapPin": "52.52,13.40"}, {"skiPass": "W7-2026"}, {"passengers": "2A1C"},
        {"passport_country": "DEU1"}, {"compass": "N12E"}, {"cookie_settings": "analytics=off"}, {"auth": "basic"}, {"auth": {"type": "apiKey", "in": "header"}},
        {"authorization": "not required"}, {"authorization": "granted"}, {"authentication": "ldap"}, {"authStatus": "ok-1"},
        {"cusip": "037833100"}, {"lei": "529900T8BM49AURSDO55"}, {"vin": "1HGCM82633A004352"}, {"iata": "FRA1"},
        {"properties": {"token": {"type": ["string", "null"], "description": "Where to go on"}}}, {"password": {"$ref": "#/x"}},
        {"password": "${DB_PASSWORD}"}, {"password": "********"}, {"password": ""}, {"secret": None}, {"hasPassword": True},
        {"passwordStrength": "strong-4"}, {"passwordChangedAt": "2026-01-01"}, {"secretVersion": "v12x"}, {"credentialType": "oauth-2x"},
        {"apiKeyName": "ci-77x"}, {"apiKeyCreatedAt": "2026-01-01"}, {"keyPath": "a.b7.c"}, {"foreignKey": "user_7x2"}, {"issueKey": "ABC-77"},
        {"keys": ["id7x", "name7x"]}, {"keyword": "shoes7x2b"}, {"hotkey": "ctrl+7x"}, {"turnkey": "yes7x2"}, {"syncToken": "CPDAlvWDx7x2"},
        {"continuationToken": "1!8!aGVsbG8x"}, {"deltaToken": "lat7x2b9"}, {"checksum": "d41d8cd98f00b204e9800998ecf8427e"},
        {"commit": "9fceb02d0ae598e95dc970b74767f19372d61af8"}, {"uuid": "0b9f7a52-1f0e-4b6a-8f5b-0a5d6c3d2e1f"},
        {"spanId": "00f067aa0ba902b7"}, {"orderId": "ord_7x2b9c11"}, {"areaCode": "030x"}, {"currencyCode": "EUR"}, {"promoCode": "BLACK26X"},
        {"barcode": "4006381333931"}, {"seed": "wheat"}, {"seed": 123456789}, {"ticket": 4711}, {"ticket": "General admission"},
        {"pat": "Pat Jones"}, {"label": "API key", "hint": "Ask your administrator"}, {"title": "Token sale", "content": "Starts on Monday at noon"},
        {"id": "password-reset", "state": "done7x"}, {"name": "color", "value": "#7f3c9e"}, {"key": "size", "value": "XL-7x2"},
        {"columns": ["token_type", "n"], "rows": [["bearer1", 2]]}, {"fields": ["name", "secret_name"], "data": [["a", "prod-7x"]]},
        ["Content-Type", "text/html7x"], ["username", "password", "remember2"], {"vary": "Authorization, Cookie"},
        "Password reset requested by bob", "Authorization failed: unauthorized", "Your session has expired.", "cookies are enabled",
        "secret santa party at 7pm", "Key takeaways: growth of 12%", "https://x.test/reset-password?step=2", "https://x.test/a/b/7x2b9c?key=size&n=2",
        "GET /oauth/token HTTP/1.1", "UPDATE users SET city = 'Paris7x2' WHERE id = 1", "INSERT INTO t (id, city) VALUES (1, 'P7x2b9')",
        "tar -xzf a7x2.tgz && ls -a", "scp -P 2222 a7x2 h:", "<a href='/login7x2'>Password?</a>", "n,total\n1,7x2b9\n",
        base64.b64encode(b'{"city": "Paris", "n": 12, "ok": true}').decode(), quote('{"city": "Paris", "n": 12}'), "id=7x2b9c&next=%2Fhome",
    ),
)  # fmt: skip

THIRD = Corpus(
    seed=3,
    names=tuple(
        "userPassword adminPwd mailPassword imapPassword zabbixPassword vncPassword archivePassword zipPassword "
        "TF_VAR_db_password ANSIBLE_VAULT_PASSWORD CI_JOB_TOKEN HEROKU_API_KEY CLOUDFLARE_API_TOKEN datadogApiKey "
        "algoliaAdminApiKey mapsApiKey weatherApiKey twilioAuthToken plaidSecret paypalClientSecret braintreePrivateKey "
        "jwtSecret cookieSecret sessionSecret csrfToken xsrfToken nonceSecret signing-secret x-api-key x-auth-token "
        "x-access-token x-csrf-token x-session-id x-client-secret authorizationToken proxyAuthToken refresh_token "
        "device_token_secret pairingCode accessCode unlock_code entryCode pinNumber newPin ssnNumber cardCvv cvcCode "
        "masterKey encryptionKey decryption_key aesKey rsa_private_key signingKey storageKey deployKey "
        "backup_codes recoveryKey vaultToken consul_token nomadToken rancherToken argocdPassword grafanaApiKey "
        "licence_key productKey activationCode keyfilePassword tlsKeyPassword radiusSecret snmpAuthPassword "
        "ftpPasswd basic_auth_password oauth2ClientSecret idp_client_secret samlAssertion assertionToken "
        "kennwort contrasenia clave parola mdp adgangskode jelszó heslo passord 口令 暗証番号 암호".split()
    ),
    forms={
        "cloudformation": lambda name, secret: {"Parameters": [{"ParameterKey": name, "ParameterValue": secret}]},
        "json patch": lambda name, secret: [{"op": "replace", "path": f"/{name}", "value": secret}],
        "graphql": lambda name, secret: f'mutation {{ login(email: "a@x.test", {name}: "{secret}") {{ id }} }}',
        "keyword": lambda name, secret: f'connect(host="x", {xml_safe(name)}="{secret}", port=1)',
        "json5": lambda name, secret: f"{{host: 'x', {xml_safe(name)}: '{secret}', port: 1}}",
        "diff": lambda name, secret: f"- host: x\n+ {name}: {secret}\n  port: 1",
        "jdbc": lambda name, secret: f"jdbc:mysql://h/db?user=bob&{name}={quote(secret)}",
        "fragment": lambda name, secret: f"https://app.test/cb#{name}={quote(secret)}&state=1",
        "header text": lambda name, secret: {"headers": [f"{name}: {secret}", "Host: x"]},
        "header lists": lambda name, secret: {"headers": {"Host": ["x"], name: [secret]}},
        "property": lambda name, secret: f'<property name="{name}" value="{secret}"/>',
        "property text": lambda name, secret: f'<property name="{name}">{secret}</property>',
        "param": lambda name, secret: f"<param><name>{name}</name><value>{secret}</value></param>",
        "old and new": lambda name, secret: {"fieldName": name, "oldValue": "x1y2z3w4", "newValue": secret},
        "value within": lambda name, secret: {"parameter": name, "data": {"value": secret}},
        "map entry": lambda name, secret: {"entry": [{"key": name, "value": {"stringValue": secret}}]},
        "csv quoted": lambda name, secret: f'"id","{name}","note"\n"1","{secret}","a, b"\n',
        "csv crlf": lambda name, secret: f"id,{name}\r\n1,{secret}\r\n",
        "table of pipes": lambda name, secret: f"+---+---+\n| id | {name} |\n+---+---+\n| 1 | {secret} |\n+---+---+",
        "insert of many": lambda name, secret: f"INSERT INTO t(a,{name},b) VALUES(1,'{secret}',now()),(2,'{secret}',now())",
        "update": lambda name, secret: f"UPDATE t SET `{name}` = '{secret}', a = 1 WHERE id = 3",
        "multipart": lambda name, secret: f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{secret}\r\n--x--',
        "trace": lambda name, secret: f"Error: boom\n    at f (x.js:1)\n    {{ {name}: '{secret}' }}",
        "quoted log": lambda name, secret: json.dumps({"msg": f'req body="{{\\"{name}\\":\\"{secret}\\"}}" ok'}),
        "object twice": lambda name, secret: {"a": json.dumps({"b": [{"name": name, "value": secret}]})},
        "columns of objects": lambda name, secret: {"columns": [{"name": "a"}, {"name": name}], "data": [["x", secret]]},
        "tuple": lambda name, secret: f"[('a', 'x'), ('{name}', '{secret}')]",
        "windows": lambda name, secret: f"set {name}={secret}\r\ncall x.bat",
        "powershell": lambda name, secret: f"$env:{xml_safe(name)} = '{secret}'",
        "yaml list": lambda name, secret: f"env:\n  - name: {name}\n    value: {secret}\n  - name: A\n    value: 1\n",
        "base64 yaml": lambda name, secret: {"f": b64(f"db:\n  {name}: {secret}\n")},
        "urlsafe": lambda name, secret: base64.urlsafe_b64encode(in_json(name, secret).encode()).decode().rstrip("="),
        "hex form": lambda name, secret: urlencode({name: secret, "a": 1}).encode().hex(),
        "gzip in hex": lambda name, secret: gzip.compress(in_json(name, secret).encode(), mtime=0).hex(),
        "args": lambda name, secret: ["tool", f"--{name}", secret, "-v"],
        "args equal": lambda name, secret: ["tool", f"--{name}={secret}", "-v"],
    },
    nameless={
        "netrc": lambda c: (lambda s: (f"machine h.test login bob password {s}", s))(letters(c, ALNUM, 11) + "1"),
        "git": lambda c: (lambda s: (f"git clone https://oauth2:{s}@git.test/a.git", s))(letters(c, ALNUM, 20)),
        "git without user": lambda c: (lambda s: (f"git clone https://{s}@git.test/a.git", s))(letters(c, ALNUM, 24)),
        "docker login": lambda c: (lambda s: (f"docker login reg.test -u bob -p {s}", s))(letters(c, ALNUM, 12)),
        "ldap": lambda c: (lambda s: (f'ldapsearch -D cn=x -w "{s}" -b dc=x', s))(letters(c, ALNUM, 12)),
        "sqlcmd": lambda c: (lambda s: (["sqlcmd", "-U", "sa", "-P", s], s))(letters(c, ALNUM, 12)),
        "digest": lambda c: (lambda s: (f'Authorization: Digest username="bob", response="{s}"', s))(letters(c, "abcdef0123", 32)),
        "cookie": lambda c: (lambda s: (f"Cookie: theme=dark; sid={s}; lang=en", s))(letters(c, ALNUM, 26)),
        "sentry": lambda c: (lambda s: ({"x": s}, s))("sntryu" + "_" + letters(c, "abcdef0123", 64)),
        "buildkite": lambda c: (lambda s: (f"t={s}", s))("bkua" + "_" + letters(c, "abcdef0123", 40)),
        "snyk": lambda c: (lambda s: ([s], s))("snyk" + "_uat.1a2b3c4d." + letters(c, ALNUM, 60)),
        "langsmith": lambda c: (lambda s: (f"key {s}", s))("lsv2" + "_pt_" + letters(c, "abcdef0123", 32) + "_" + letters(c, "abcdef0123", 10)),
        "resend": lambda c: (lambda s: ({"x": s}, s))("re" + "_" + letters(c, ALNUM, 8) + "_" + letters(c, ALNUM, 24)),
        "airtable": lambda c: (lambda s: ({"x": s}, s))("pat" + letters(c, ALNUM, 14) + "." + letters(c, "abcdef0123", 64)),
        "make": lambda c: (lambda s: (f"https://hook.eu2.make.com/{s}", s))(letters(c, ALNUM, 32)),
        "google chat": lambda c: (lambda s: (f"https://chat.googleapis.com/v1/spaces/AAAA/messages?key=x&token={s}", s))(letters(c, ALNUM, 40)),
        "mattermost": lambda c: (lambda s: (f"https://chat.corp.test/hooks/{s}", s))(letters(c, string.ascii_lowercase + "23456789", 25) + "7"),
        "azure function": lambda c: (lambda s: (f"https://f.azurewebsites.net/api/x?code={s}==", s))(letters(c, ALNUM, 52)),
        "presigned": lambda c: (lambda s: (f"https://b.s3.test/k?X-Amz-Credential=x&X-Amz-Signature={s}", s))(letters(c, "abcdef0123", 64)),
        "mnemonic": lambda c: ({"seed": "abandon ability able about above absent absorb abstract absurd abuse access accident"}, "absorb abstract"),
        "openssh": lambda c: (lambda s: (json.dumps({"k": f"-----BEGIN OPENSSH {'PRIVATE'} KEY-----\n{s}\n-----END OPENSSH PRIVATE KEY-----"}), s))(letters(c, ALNUM, 70)),
        "utf-16": lambda c: (lambda s: ("powershell -enc " + base64.b64encode(f"$password='{s}'".encode("utf-16-le")).decode(), "@" + s))(letters(c, ALNUM, 12)),
    },
    ordinary=(
        {"key": "5f9d88b3c2a1e4d7f0a9b8c7"}, {"key": "evt_1NG8Du2eZvKYlo2CUI79vXWy"}, {"key": "exports/daily/part-0001.parquet"}, {"key": "BK-M68B-42"},
        {"key": "US5949181045"}, {"key": "billing.plan.name"}, {"key": "2026-W05"}, {"key": "Q1-2026"}, {"key": "chr7:55249071"}, {"key": "v1.2.3-rc4"},
        {"key": "user@example.test"}, {"key": "de_DE.UTF-8"}, {"session": "Opening ceremony"}, {"session": "S1"}, {"session": {"title": "Panel", "room": "B"}},
        {"sessionType": "live-7x2"}, {"sessionStatus": "open"}, {"token": "ADA"}, {"token": "USD Coin"}, {"token": {"symbol": "DAI", "decimals": 18}},
        {"tokenBalance": "12.5"}, {"tokenURI": "ipfs://bafy7x2"}, {"tokens": {"max": 100}}, {"tokens": []}, {"token_limit": 8192}, {"tokenizer": "cl100k_base"},
        {"signature": "Yours truly,\nMaria"}, {"signatureDate": "2026-01-03"}, {"signatures": 2}, {"pinCode": 411001}, {"pin_count": 4}, {"pinType": "gpio-7x"},
        {"day_pass": "2026-01-03B"}, {"bypass": "on7x2"}, {"passRate": "97.5%"}, {"passthrough": "raw7x2"}, {"cookiePolicyUrl": "https://x.test/c7"},
        {"auth": "bearer"}, {"auth": True}, {"auth": {"method": "ldap", "enabled": True}}, {"authProvider": "google-oauth2"}, {"authorization": "approved"},
        {"authorizationStatus": "ok7x"}, {"isin": "JP3633400001", "wkn": "A1B2C3"}, {"swift": "DEUTDEFF500"}, {"iban_country": "DE"},
        {"properties": {"apiKey": {"type": "string", "minLength": 8, "description": "Your key"}}}, {"secret": {"type": "boolean"}},
        {"password": "{{ vault.db }}"}, {"password": "[REDACTED]"}, {"password": False}, {"apiKey": None}, {"requiresPassword": "yes7x"},
        {"passwordHint": "city7x2"}, {"passwordResetUrl": "https://x.test/reset"}, {"secretCount": 3}, {"secretsManagerArn": "arn:x:1:y7"}, {"credentialExpiry": "2026-01-01"},
        {"keyAlias": "alias/prod-7x2"}, {"keySize": 2048}, {"keyCode": 13}, {"objectKey": "a/b7x2.png"}, {"rowKey": "2026-7x2b9"}, {"routingKey": "orders.eu7x2"},
        {"groupKey": "g-7x2b9c"}, {"translationKey": "home.title7x2"}, {"hashKey": "tenant-7x2b"}, {"publicKeyId": "k7x2b9"}, {"keyframe": "kf7x2b"},
        {"pageToken": "CiAKGjBpNDd2Nmp2"}, {"nextToken": "eyJ2IjoyfQ=="}, {"resumeToken": "82635a7x"}, {"md5": "9e107d9d372bb6826bd81d3542a419d6"},
        {"fingerprint": "SHA256:7x2b9c"}, {"digest": "sha256:16c7e42f292c"}, {"runId": "run_7x2b9caa11"}, {"buildId": "b7x2b9c"}, {"deviceId": "d-7x2b9c"},
        {"code": "AX7-992"}, {"errorCode": "ECONNRESET7"}, {"hsCode": "8471.30"}, {"languageCode": "pt-BR"}, {"colorCode": "#7f3c9e"}, {"airportCode": "MUC1"},
        {"discountCode": "WELCOME10"}, {"trackingCode": "1Z999AA10123456784"}, {"verification": "done7x2"}, {"seed": 7}, {"seedlings": "oak7x2"},
        {"ticket": "INC0012345"}, {"ticketNumber": "T-7x2b9c"}, {"pattern": "a7x2"}, {"patient": "P7x2b9c"}, {"template": "t7x2b9"}, {"pemFile": "a7x.pem"},
        {"label": "PIN", "type": "number"}, {"name": "auth", "type": "section"}, {"name": "password", "label": "Password", "required": True},
        {"title": "API keys", "text": "Create a key in the settings, then copy it"}, {"question": "Which city?", "answer": "Paris7x2"},
        {"columns": ["city", "zip"], "rows": [["Bonn7x", "53111"]]}, {"keys": ["city", "n"], "values": ["Bonn7x2", 3]}, [["name", "key_count"], ["a7x2", 3]],
        ["Accept", "application/json7x"], ["tool", "--output", "out7x2.json"], ["-p", "8080"], {"exposedHeaders": ["X-Auth-Token", "ETag2"]},
        "password: required", "Password must not be empty", "auth: ok, session: active", "Token refreshed successfully", "Reset password for bob7x2",
        "passed 12 of 12 tests in 7x2 ms", "Cookie policy v2 accepted", "the secret to success is patience", "Signature: Bob Smith", "Authorization: required",
        "https://x.test/docs/auth/token?lang=en", "https://x.test:443/a/b@3x.png", "SELECT token FROM t WHERE n = 7", "ALTER TABLE t ADD password text",
        "docker ps -a", "redis-cli -p 6380", "curl -u bob https://x.test", "zip -r a7x2.zip b", "id,token_type\n1,bearer7\n", "| key | n |\n|---|---|\n| a7 | 2 |",
        "<label for='password'>Password</label>", "<input type='password' name='p'>", base64.b64encode(b"id=7&city=Paris&page=2&x=1").decode(),
        gzip.compress(b"nothing to see in this text at all", mtime=0).hex(), "city%3DParis%26n%3D7x2", "caf%C3%A9=7x2b9&n=1",
    ),
)  # fmt: skip
