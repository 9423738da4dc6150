"""The key goes to the configured origin only, and no secret is written anywhere."""

from __future__ import annotations

from pathlib import Path

from sources.task_history.sandbox.process import SandboxProcess

from .conftest import Place


def _holding(folder: Path, secrets: list[str]) -> list[str]:
    """Which secrets stand in which files, in any form that a search of bytes finds."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            found += [f"{file.name}: {secret}" for secret in secrets if secret.encode() in data]
    return found


def test_planted_secrets_are_found_nowhere(tmp_path: Path) -> None:
    """200 secrets in payloads and the key: none is in the warehouse, the working folder, a log or an output."""
    with SandboxProcess(
        executions=1_500, seed=41, failed=0.2, freeze=True, api_key="planted-api-key-9f8e7d6c"
    ) as sandbox:
        place = Place(tmp_path, sandbox, payloads="failed")
        place.env["RUNTIME__LOG_LEVEL"] = "DEBUG"
        sandbox.faults(
            {"kind": "status500", "share": 0.05, "times": None}, {"kind": "reset", "times": 2, "after": 50}
        )
        told = [place.run("sync", "paragon", "--json", "--log-level", "debug")]
        sandbox.faults({"kind": "revoked", "after": 1})
        told.append(place.run("sync", "paragon", "--json", "--log-level", "debug", expect=3))
        sandbox.faults()
        told.append(place.run("check", "paragon", "--json"))
        told.append(place.run("status", "paragon"))
        secrets = [*sandbox.secrets(200), sandbox.api_key]
        assert len(secrets) > 200
        payloads = place.query(
            "SELECT count(*), sum(redactions) FROM paragon.step_payloads WHERE input IS NOT NULL"
        )
        assert payloads[0][0] > 50
        assert payloads[0][1] > 200
        texts = "".join(text for done in told for text in (done.stdout, done.stderr))
        assert [secret for secret in secrets if secret in texts] == []
        # DuckDB compresses texts: what it holds is asked of it, too.
        columns = place.query("SELECT input, output FROM paragon.step_payloads")
        stored = "\n".join(value or "" for row in columns for value in row)
        assert [secret for secret in secrets if secret in stored] == []
        assert _holding(tmp_path, secrets) == []


def test_key_reaches_no_other_origin(tmp_path: Path) -> None:
    """Links to another origin, relative ones and redirects: nobody but the configured origin hears from us."""
    for link in ("other", "evil", "relative"):
        folder = tmp_path / link
        folder.mkdir()
        with SandboxProcess(executions=350, seed=42, freeze=True, switch={"next_link": link}) as sandbox:
            place = Place(folder, sandbox, steps="none", payloads="none", integrations=None)
            place.quick_sync()
            sandbox.faults({"kind": "redirect", "times": 1})
            place.run("sync", "paragon", expect=3)
            assert {request["origin"] for request in sandbox.requests()} == {"main"}


def test_own_names_are_redacted(tmp_path: Path) -> None:
    """Values under names in ``redact`` are taken out as well."""
    with SandboxProcess(executions=300, seed=43, failed=0.3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, redact=["method"])
        place.quick_sync()
        inputs = [
            row[0] for row in place.query("SELECT input FROM paragon.step_payloads WHERE input IS NOT NULL")
        ]
        assert inputs
        assert all('"method":"GET"' not in text.replace(" ", "") for text in inputs)
