"""The table of commands and faults: what is done to each, its exit code, and what it must say in how many lines.

Rows that follow a rule are made from the commands themselves, so that a new command has them on its first day.
"""

# ruff: noqa: E501 - a row is a line

from collections.abc import Iterator
from dataclasses import dataclass

import click

from mmorient.cli import mmorient
from worker.cli import moderate

PROGRAMS: dict[str, click.Group] = {"moderate": moderate, "mmorient": mmorient}
WRONG, FAILED = 2, 1
# Arguments that are there where a row is about something else; files are made by the test.
_ARGUMENTS = {
    "moderate diff": ["a.jsonl", "b.jsonl"],
    "moderate labels": ["p-1"],
    "moderate forget": ["p-1"],
    "moderate import": ["posts.jsonl"],
    "moderate policies check": ["policies"],
    "moderate policies publish": ["policies"],
    "moderate verdicts export": ["verdicts.jsonl"],
}


@dataclass(frozen=True)
class Row:
    """One fault.

    Args:
        kind: missing, mistyped, contradicting, repeated or interrupted.
        line: what is typed, program and all.
        code: of the exit.
        words: that must stand in what is said.
        lines: on standard error.
    """

    kind: str
    line: tuple[str, ...]
    code: int
    words: tuple[str, ...]
    lines: int = 1

    @property
    def name(self) -> str:
        """Return the row's name in the tests."""
        return f"{self.kind}: {' '.join(self.line)}"


def leaves(group: click.Group, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the commands that do something, each with its words."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from leaves(command, *words, name)
        else:
            yield (*words, name), command


def groups(group: click.Group, *words: str) -> Iterator[tuple[tuple[str, ...], click.Group]]:
    """Yield the commands that have commands."""
    yield words, group
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from groups(command, *words, name)


COMMANDS = {(program, *words): one for program, group in PROGRAMS.items() for words, one in leaves(group)}


def _has(command: click.Command, name: str) -> bool:
    return any(isinstance(one, click.Option) and one.name == name for one in command.params)


def by_rule() -> Iterator[Row]:
    """Yield the rows that every command has by what it is, or by an option that it has."""
    for line, command in COMMANDS.items():
        given = (*line, *_ARGUMENTS.get(" ".join(line), []))
        yield Row(
            "mistyped", (*line, "--nonsense"), WRONG, ("No such option", "--nonsense", f"{' '.join(line)} --help")
        )
        yield Row("interrupted", (*line,), FAILED, ("interrupted",))
        if any(isinstance(one, click.Argument) and one.required for one in command.params):
            yield Row("missing", line, WRONG, ("Missing argument", f"{' '.join(line)} --help"))
        if _has(command, "log__level"):
            yield Row("mistyped", (*given, "--log-level", "loud"), WRONG, ("--log-level", "'loud'", "warning"))
            yield Row("missing", (*given, "--log-level"), WRONG, ("--log-level", "requires an argument"))
        if _has(command, "checkpoint") and line[0] == "mmorient":
            yield Row("mistyped", (*given, "--checkpoint"), WRONG, ("--checkpoint", "requires an argument"))
        if _has(command, "kafka__drain_seconds") and line[1] not in {"doctor", "diff"}:
            yield from _of_kafka(given)
    for program, top in PROGRAMS.items():
        for words, group in groups(top):
            for name in sorted(group.commands):
                yield Row("mistyped", (program, *words, f"{name}x"), WRONG, ("No such command", f"is {name!r} meant?"))


def _of_kafka(given: tuple[str, ...]) -> Iterator[Row]:
    def row(kind: str, *words: str, **settings: str) -> Row:
        options = [part for name, value in settings.items() for part in (f"--kafka-{name.replace('_', '-')}", value)]
        return Row(kind, (*given, *options), WRONG, words)

    yield row("mistyped", "MODERATE_KAFKA__DRAIN_SECONDS", "'soon'", drain_seconds="soon")
    yield row("mistyped", "MODERATE_KAFKA__ROUTES", "irony", routes='{"irony": "labels.irony"}')
    yield row("missing", "SASL_SSL wants a log-in", "SASL_USERNAME", "SASL_PASSWORD", security_protocol="SASL_SSL")
    yield row("missing", "MODERATE_KAFKA__SSL_CAFILE", "no such file", "'none.pem'", ssl_cafile="none.pem")
    yield row("missing", "MODERATE_KAFKA__SSL_CERTFILE", "no such file", "'none.pem'", ssl_certfile="none.pem")
    yield row("contradicting", "heartbeat_interval_seconds", "at most half", heartbeat_interval_seconds="9")
    yield row("contradicting", "needs registry_url", post_format="avro")


def _row(kind: str, line: str, code: int, *words: str, lines: int = 1) -> Row:
    return Row(kind, tuple(line.split()), code, words, lines)


BY_HAND = (
    # The worker: what the operator gave is refused before a model is loaded.
    _row("contradicting", "moderate run --http-port TAKEN", WRONG, "MODERATE_HTTP__PORT", "is taken", "port that is free"),
    _row("mistyped", "moderate run --http-port 0", WRONG, "MODERATE_HTTP__PORT", "'0'"),
    _row("mistyped", "moderate run --http-host 192.0.2.1", WRONG, "nothing can listen on 192.0.2.1", "MODERATE_HTTP__HOST"),
    _row("missing", "moderate run --checkpoint nowhere", WRONG, "MODERATE_CHECKPOINT", "no checkpoint in nowhere"),
    _row("mistyped", "moderate run --checkpoint broken", WRONG, "MODERATE_CHECKPOINT", "config.json: is not JSON"),
    _row("mistyped", "moderate run --checkpoint old", WRONG, "format is 'mm-orient-checkpoint/2'", "this version reads"),
    _row("missing", "moderate run --checkpoint half", WRONG, "head.safetensors: is missing"),
    _row("missing", "moderate run --shadow nowhere", WRONG, "MODERATE_SHADOW__CHECKPOINT", "no checkpoint in nowhere"),
    _row("missing", "moderate run --drift-reference none.json", WRONG, "MODERATE_DRIFT__REFERENCE", "mmorient reference"),
    _row("mistyped", "moderate run --precision fp8", WRONG, "--precision", "'fp8'", "bf16"),
    _row("mistyped", "moderate run --thresholds-sarcasm 7", WRONG, "MODERATE_THRESHOLDS__SARCASM", "'7'"),
    # The door: the same, and what it alone has.
    _row("contradicting", "moderate serve --serve-port TAKEN", WRONG, "MODERATE_SERVE__PORT", "is taken", "port that is free"),
    _row("mistyped", "moderate serve --serve-port 0", WRONG, "MODERATE_SERVE__PORT", "'0'"),
    _row("mistyped", "moderate serve --serve-host 192.0.2.1", WRONG, "nothing can listen on 192.0.2.1", "MODERATE_SERVE__HOST"),
    _row("missing", "moderate serve --checkpoint nowhere", WRONG, "MODERATE_CHECKPOINT", "no checkpoint in nowhere"),
    _row("missing", "moderate serve --serve-keys-file none", WRONG, "MODERATE_SERVE__KEYS_FILE", "none cannot be read"),
    _row("mistyped", "moderate serve --serve-keys-file posts.jsonl", WRONG, "MODERATE_SERVE__KEYS_FILE", "line 1 cannot be read"),
    _row("mistyped", "moderate serve --serve-cors-origins shop", WRONG, "MODERATE_SERVE__CORS_ORIGINS", "'shop'"),
    _row("mistyped", 'moderate serve --serve-cors-origins ["shop"]', WRONG, "MODERATE_SERVE__CORS_ORIGINS", "is not an origin"),
    _row("mistyped", "moderate serve --serve-public-url shop", WRONG, "MODERATE_SERVE__PUBLIC_URL", "'shop'"),
    _row("contradicting", "moderate serve --serve-max-request-posts 600", WRONG, "max_request_posts", "at most max_waiting_posts"),
    _row("contradicting", "moderate serve --serve-max-body-bytes 99999999", WRONG, "max_body_bytes", "at most max_waiting_bytes"),
    _row("mistyped", "moderate serve --new-key a/b", WRONG, "--new-key 'a/b'", "letters, digits"),
    # Topics.
    _row("contradicting", "moderate topics create --kafka-ssl-keyfile posts.jsonl", WRONG, "need ssl_certfile"),
    _row("mistyped", "moderate topics create --kafka-ssl-certfile posts.jsonl", WRONG, "SSL_CERTFILE: no certificate"),
    _row("missing", "moderate topics create --kafka-security-protocol SASL_SSL --kafka-sasl-mechanism OAUTHBEARER", WRONG, "OAUTH_TOKEN_URL", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET"),
    _row("contradicting", "moderate topics create --kafka-oauth-token-url https://a/b --kafka-oauth-token-command x", WRONG, "one of them is enough"),
    _row("mistyped", "moderate topics create --kafka-oauth-token-url login.example", WRONG, "MODERATE_KAFKA__OAUTH_TOKEN_URL"),
    _row("mistyped", "moderate topics create --partitions none", WRONG, "--partitions", "'none'"),
    _row("contradicting", "moderate topics create --at-least", WRONG, "--at-least needs --partitions"),
    _row("mistyped", "moderate topics create --partitions 0", WRONG, "--partitions", "x>=1"),
    _row("missing", "moderate topics create", FAILED, "no answer from the broker at 127.0.0.1:1"),
    # Backfills.
    _row("contradicting", "moderate backfill --from 5 --to 3", WRONG, "--from 5 --to 3", "the range holds nothing"),
    _row("contradicting", "moderate backfill --from latest", WRONG, "--from latest --to latest", "holds nothing"),
    _row("contradicting", "moderate backfill --to earliest", WRONG, "--to earliest", "holds nothing"),
    _row("mistyped", "moderate backfill --from yesterday", WRONG, "'yesterday' is not a bound", "an offset"),
    _row("mistyped", "moderate backfill --partitions 5-3", WRONG, "'5-3' is not a list of partitions"),
    _row("mistyped", "moderate backfill --tasks irony", WRONG, "unknown task 'irony'", "sarcasm"),
    _row("contradicting", "moderate backfill --group-id moderate", WRONG, "is the live group"),
    _row("contradicting", "moderate backfill --output posts", WRONG, "posts belongs to the live stream"),
    _row("contradicting", "moderate backfill --json", WRONG, "--json", "belong to --dry-run"),
    _row("contradicting", "moderate backfill --cost-per-hour 1", WRONG, "belong to --dry-run"),
    _row("contradicting", "moderate backfill --dry-run --resume", WRONG, "--dry-run or --resume, not both"),
    _row("contradicting", "moderate backfill --http-port TAKEN", WRONG, "is taken"),
    _row("missing", "moderate backfill --checkpoint nowhere", WRONG, "no checkpoint in nowhere"),
    # Comparisons.
    _row("missing", "moderate diff a.jsonl", WRONG, "Missing argument 'RIGHT'"),
    _row("missing", "moderate diff a.jsonl b.jsonl --html none/x.html", WRONG, "--html", "no such folder: none"),
    _row("mistyped", "moderate diff a.jsonl b.jsonl --html x.pdf", WRONG, "--html", ".pdf is not written", ".html"),
    _row("mistyped", "moderate diff a.jsonl b.jsonl --fail-over lots", WRONG, "'lots'"),
    _row("contradicting", "moderate diff a.jsonl b.jsonl --from 5 --to 3", WRONG, "the range holds nothing"),
    _row("contradicting", "moderate diff a.jsonl b.jsonl --follow", WRONG, "--follow needs a topic"),
    _row("contradicting", "moderate diff a.jsonl b.jsonl --explain 3", WRONG, "--explain needs --left-model"),
    _row("repeated", "moderate diff a.jsonl b.jsonl --fail-over 0.1 --fail-over 0.2", WRONG, "--fail-over '0.2'", "which is meant"),
    _row("repeated", "moderate diff a.jsonl b.jsonl --fail-over sarcasm=0 --fail-over sarcasm=1", WRONG, "sarcasm has two limits"),
    _row("repeated", "moderate diff - -", WRONG, "standard input can be one side only"),
    _row("missing", "moderate diff a.jsonl b.jsonl --truth none.csv", WRONG, "--truth", "no such file: none.csv"),
    # Looking things up.
    _row("contradicting", "moderate labels p-1 --from 5 --to 5", WRONG, "--from 5 --to 5", "holds nothing"),
    _row("mistyped", "moderate labels p-1 --to noon", WRONG, "'noon' is not a bound"),
    _row("missing", "moderate labels p-1", FAILED, "the broker"),
    # What people said of labels.
    _row("mistyped", "moderate verdicts export verdicts.csv", WRONG, "verdicts.csv", "written as .jsonl"),
    _row("missing", "moderate verdicts export none/verdicts.jsonl", WRONG, "none: no such folder"),
    _row("contradicting", "moderate verdicts export verdicts.jsonl --from 5 --to 3", WRONG, "the range holds nothing"),
    _row("missing", "moderate verdicts export verdicts.jsonl", FAILED, "the broker"),
    _row("missing", "mmorient calibrate half", WRONG, "DATA, --verdicts or both"),
    _row("missing", "mmorient calibrate half --verdicts none.jsonl", WRONG, "none.jsonl", "no such file"),
    _row("contradicting", "moderate dead-letters list --from 7 --to 3", WRONG, "holds nothing"),
    _row("mistyped", "moderate dead-letters list --by colour", WRONG, "--by", "'colour'", "community"),
    _row("mistyped", "moderate dead-letters list --limit 0", WRONG, "--limit", "x>=1"),
    _row("mistyped", "moderate dead-letters show --partitions a", WRONG, "'a' is not a list of partitions"),
    _row("missing", "moderate dead-letters list", FAILED, "the broker"),
    _row("mistyped", "moderate dead-letters replay --unavailable fetch_faild", WRONG, "'fetch_faild'", "did you mean 'fetch_failed'?"),
    _row("contradicting", "moderate dead-letters replay --unavailable corrupt --stage media", WRONG, "--stage", "not both"),
    _row("missing", "moderate dead-letters replay --unavailable corrupt", FAILED, "the broker"),
    _row("mistyped", "moderate doctor --only toppics", WRONG, "no check 'toppics'", "areas are", "topics"),
    # Policies.
    _row("missing", "moderate run --policies nowhere", WRONG, "MODERATE_POLICIES: there is no folder nowhere"),
    _row("missing", "moderate run --policies empty", WRONG, "MODERATE_POLICIES: no *.toml in empty"),
    _row("mistyped", "moderate run --policies policies", WRONG, "policies/rules.toml:1: rule 'review'", "did you mean 'offensiveness'?"),
    _row("contradicting", "moderate run --kafka-decisions-topic posts", WRONG, "each have a topic of their own"),
    _row("mistyped", "moderate policies check policies", WRONG, "policies/rules.toml:1", "task 'offensivenes' is unknown"),
    _row("missing", "moderate policies check nowhere", WRONG, "there is no folder nowhere"),
    _row("missing", "moderate policies check quiet none.jsonl", FAILED, "none.jsonl: No such file"),
    _row("mistyped", "moderate policies check quiet policies/rules.toml", FAILED, "6 lines were no labels: 1, 2, 3, 4, 5 and 1 more"),
    _row("mistyped", "moderate policies publish policies", WRONG, "policies/rules.toml:1"),
    _row("missing", "moderate policies publish quiet", FAILED, "no answer from the broker"),
    _row("missing", "moderate policies show", FAILED, "no answer from the broker"),
    _row("missing", "moderate policies withdraw", FAILED, "no answer from the broker"),
    _row("missing", "moderate diff a.jsonl b.jsonl --policies nowhere", WRONG, "there is no folder nowhere"),
    _row("contradicting", "moderate diff a.jsonl b.jsonl --right-policies quiet", WRONG, "--right-policies needs --policies"),
    _row("contradicting", "moderate audit --expect-policy", WRONG, "--expect-policy needs --policies"),
    _row("missing", "moderate backfill --policies nowhere", WRONG, "MODERATE_POLICIES: there is no folder nowhere"),
    # Imports.
    _row("missing", "moderate import none.jsonl", WRONG, "none.jsonl: no such file"),
    _row("missing", "moderate import posts.jsonl", FAILED, "no answer from the broker"),
    _row("contradicting", "moderate import -", WRONG, "standard input cannot be read twice"),
    _row("mistyped", "moderate import posts.jsonl --name a/b", WRONG, "--name 'a/b'", "letters, digits"),
    _row("mistyped", "moderate import posts.jsonl --malformed keep", WRONG, "--malformed", "'keep'", "refuse"),
    _row("mistyped", "moderate import posts.jsonl --max-posts-per-second 0", WRONG, "--max-posts-per-second", "x>0"),
    # Labels of files.
    _row("missing", "mmorient label none.jsonl", WRONG, "none.jsonl: no such file"),
    _row("missing", "mmorient label none-*.jsonl", WRONG, "none-*.jsonl: matches no file"),
    _row("missing", "mmorient label empty", WRONG, "empty: no *.jsonl"),
    _row("mistyped", "mmorient label posts.jsonl --output x.csv", WRONG, "x.csv: .csv is not written", ".jsonl", ".parquet"),
    _row("mistyped", "mmorient label posts.jsonl --output x.jsonl.gz", WRONG, ".gz is not written", ".jsonl"),
    _row("missing", "mmorient label posts.jsonl --output none/x.jsonl", WRONG, "none: no such folder"),
    _row("contradicting", "mmorient label posts.jsonl --output empty", WRONG, "empty: is a folder"),
    _row("contradicting", "mmorient label posts.jsonl --output posts.jsonl", WRONG, "read and written at once"),
    _row("contradicting", "mmorient label posts.jsonl --resume", WRONG, "need an --output"),
    _row("contradicting", "mmorient label posts.jsonl --output x.jsonl --resume --overwrite", WRONG, "not both"),
    _row("contradicting", "mmorient label - --output x.jsonl --resume", WRONG, "standard input cannot be read twice"),
    _row("repeated", "mmorient label posts.jsonl --output a.jsonl", WRONG, "is there already", "--resume", "--overwrite"),
    _row("missing", "mmorient label posts.jsonl --checkpoint nowhere", WRONG, "nowhere: no such folder"),
    _row("mistyped", "mmorient label posts.jsonl --checkpoint broken", WRONG, "config.json: is not JSON"),
    _row("mistyped", "mmorient label posts.jsonl --checkpoint old", WRONG, "format is 'mm-orient-checkpoint/2'"),
    _row("mistyped", "mmorient label posts.jsonl --threshold sarcasm=7", WRONG, "--threshold", "7"),
    _row("mistyped", "mmorient label posts.jsonl --threshold sarcasm", WRONG, "'sarcasm' is not TASK=NUMBER"),
    _row("repeated", "mmorient label posts.jsonl --threshold sarcasm=0.5 --threshold sarcasm=0.7", WRONG, "sarcasm has two thresholds"),
    _row("repeated", "mmorient explain posts.jsonl --threshold sarcasm=0.5 --threshold sarcasm=0.7", WRONG, "which is meant"),
    _row("mistyped", "mmorient label posts.jsonl --threshold irony=0.7", WRONG, "--threshold", "irony"),
    # Reasons, and what a checkpoint holds.
    _row("missing", "mmorient explain none.json", WRONG, "none.json: no such file"),
    _row("mistyped", "mmorient explain posts.jsonl --html x.pdf", WRONG, "--html", ".pdf is not written"),
    _row("mistyped", "mmorient explain posts.jsonl --heatmap x.jpg", WRONG, "x.jpg", ".png"),
    _row("missing", "mmorient explain posts.jsonl --html none/x.html", WRONG, "no such folder"),
    _row("mistyped", "mmorient explain posts.jsonl --words -1", WRONG, "--words", "x>=0"),
    _row("missing", "mmorient explain posts.jsonl --checkpoint half", WRONG, "head.safetensors: is missing"),
    _row("missing", "mmorient inspect nowhere", WRONG, "nowhere: no such folder"),
    _row("mistyped", "mmorient inspect broken", WRONG, "config.json: is not JSON"),
    _row("mistyped", "mmorient inspect old", WRONG, "this version reads 'mm-orient-checkpoint/4'"),
    # References of drift.
    _row("missing", "mmorient reference a.jsonl", WRONG, "Missing option '--out'"),
    _row("missing", "mmorient reference none.jsonl --out r.json", WRONG, "none.jsonl", "No such file"),
    _row("mistyped", "mmorient reference a.jsonl --out r.csv", WRONG, "--out", ".csv is not written", ".json"),
    _row("missing", "mmorient reference a.jsonl --out none/r.json", WRONG, "none: no such folder"),
    _row("mistyped", "mmorient reference posts.jsonl --out r.json", FAILED, "line 1 is no label"),
    # The research loop, as far as it goes without torch.
    _row("missing", "mmorient train none --out x", WRONG, "none", "does not exist"),
    _row("missing", "mmorient train empty", WRONG, "Missing option '--out'"),
    _row("missing", "mmorient train empty --out x --start nowhere", WRONG, "nowhere: no such folder"),
    _row("missing", "mmorient calibrate nowhere empty", WRONG, "nowhere: no such folder"),
    _row("missing", "mmorient evaluate empty --html none/x.html", WRONG, "none: no such folder"),
    _row("mistyped", "mmorient ablate empty --seeds 0", WRONG, "--seeds", "x>=1"),
)  # fmt: skip


def rows() -> list[Row]:
    """Return the whole table."""
    return [*by_rule(), *BY_HAND]
