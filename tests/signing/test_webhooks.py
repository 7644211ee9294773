"""Forged, replayed, ambiguous and unsigned events: only bytes that the shared secret vouches for come in."""

from __future__ import annotations

import traceback
from datetime import timedelta

import pytest

from release.errors import Misconfigured, Refused
from release.source.forges import Kind
from signing.webhooks import WINDOW, WebhookSecrets, authenticate, plain_signature
from tests import webhook_samples as samples
from tests.webhook_samples import NOW, SECRET, SIGNING_TOKEN

BODY = b'{"ref": "refs/heads/stable"}'
SECRETS = WebhookSecrets(github=SECRET, gitlab=SECRET, gitea=SECRET, plain=SECRET)
GENUINE = {
    Kind.GITHUB: samples.github_headers(BODY),
    Kind.GITEA: samples.gitea_headers(BODY),
    Kind.GITLAB: samples.gitlab_headers(),
    Kind.PLAIN: samples.plain_headers(BODY),
}
SIGNED_KINDS = [Kind.GITHUB, Kind.GITEA, Kind.PLAIN]  # GitLab's token says nothing about the body


def check(headers: dict[str, str], body: bytes = BODY, secrets: WebhookSecrets = SECRETS, now=NOW) -> Kind:
    return authenticate(headers.items(), body, secrets, now=now)


@pytest.mark.parametrize("kind", Kind)
def test_accepts_a_genuine_event_of_each_kind(kind: Kind) -> None:
    assert check(GENUINE[kind]) is kind


@pytest.mark.parametrize("kind", Kind)
def test_header_names_are_compared_without_case(kind: Kind) -> None:
    assert check({name.upper(): value for name, value in GENUINE[kind].items()}) is kind


def test_the_vector_of_githubs_documents_is_accepted() -> None:
    # "Validating webhook deliveries", testing the webhook payload validation
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secrets = WebhookSecrets(github="It's a Secret to Everybody")
    assert check({"X-Hub-Signature-256": header}, b"Hello, World!", secrets) is Kind.GITHUB


@pytest.mark.parametrize("kind", SIGNED_KINDS)
def test_refuses_a_body_that_was_changed_by_one_byte(kind: Kind) -> None:
    with pytest.raises(Refused, match="does not match"):
        check(GENUINE[kind], BODY.replace(b"stable", b"staple"))


@pytest.mark.parametrize("kind", Kind)
def test_refuses_a_proof_made_with_another_secret(kind: Kind) -> None:
    other = WebhookSecrets(github="other", gitlab="other", gitea="other", plain="other")
    with pytest.raises(Refused, match="does not match"):
        check(GENUINE[kind], secrets=other)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("proof", ["", "sha256=", "sha256=é\udcff", "sha1=abc", "v1,"])
def test_refuses_a_proof_that_is_no_proof(kind: Kind, proof: str) -> None:
    headers = {name: proof if "ignature" in name or "Token" in name else value for name, value in GENUINE[kind].items()}
    with pytest.raises(Refused, match="does not match"):
        check(headers)


@pytest.mark.parametrize("kind", Kind)
def test_an_empty_secret_refuses_even_what_was_made_with_it(kind: Kind) -> None:
    empty = {
        Kind.GITHUB: {"X-Hub-Signature-256": f"sha256={samples.hex_hmac(BODY, '')}"},
        Kind.GITEA: {"X-Gitea-Signature": samples.hex_hmac(BODY, "")},
        Kind.GITLAB: {"X-Gitlab-Token": ""},
        Kind.PLAIN: samples.plain_headers(BODY, secret=""),
    }
    with pytest.raises(Refused, match="no secret is set"):
        check(empty[kind], secrets=WebhookSecrets())


def test_the_secret_of_one_kind_opens_no_other() -> None:
    with pytest.raises(Refused, match="no secret is set for github"):
        check(GENUINE[Kind.GITHUB], secrets=WebhookSecrets(gitlab=SECRET, gitea=SECRET, plain=SECRET))


@pytest.mark.parametrize("headers", [{}, {"X-GitHub-Event": "push"}, {"X-Hub-Signature": "sha1=abc"}])
def test_refuses_an_event_without_a_known_signature(headers: dict[str, str]) -> None:
    with pytest.raises(Refused, match="not signed") as caught:
        check(headers)
    assert "x-hub-signature-256" in (caught.value.expected or "")


@pytest.mark.parametrize(
    "kinds",
    [(Kind.GITHUB, Kind.GITLAB), (Kind.GITHUB, Kind.PLAIN), (Kind.GITEA, Kind.PLAIN), (Kind.GITLAB, Kind.GITEA)],
)
def test_refuses_an_event_that_two_kinds_claim_although_both_proofs_are_right(kinds: tuple[Kind, Kind]) -> None:
    with pytest.raises(Refused, match="two kinds"):
        check({**GENUINE[kinds[0]], **GENUINE[kinds[1]]})


def test_giteas_copy_of_its_signature_under_githubs_name_is_not_ambiguous_but_must_agree() -> None:
    headers = GENUINE[Kind.GITEA]
    assert "X-Hub-Signature-256" in headers
    assert check(headers) is Kind.GITEA
    with pytest.raises(Refused, match="does not match"):
        check({**headers, "X-Hub-Signature-256": "sha256=" + "0" * 64})
    without_copy = {name: value for name, value in headers.items() if "Hub" not in name}
    assert check(without_copy) is Kind.GITEA


def test_refuses_a_proof_that_is_given_twice() -> None:
    pairs = [*GENUINE[Kind.GITHUB].items(), ("x-hub-signature-256", "sha256=" + "0" * 64)]
    with pytest.raises(Refused, match="twice"):
        authenticate(pairs, BODY, SECRETS, now=NOW)


def test_a_plain_event_is_accepted_inside_the_window_and_refused_as_a_replay_outside() -> None:
    for skew in (-WINDOW, timedelta(), WINDOW):
        assert check(GENUINE[Kind.PLAIN], now=NOW + skew) is Kind.PLAIN
    for skew in (-WINDOW - timedelta(seconds=1), WINDOW + timedelta(seconds=1), timedelta(days=400)):
        with pytest.raises(Refused, match="not recent"):
            check(GENUINE[Kind.PLAIN], now=NOW + skew)


def test_a_replay_cannot_be_given_a_new_time() -> None:
    later = NOW + timedelta(hours=1)
    headers = {**GENUINE[Kind.PLAIN], "X-Slipway-Timestamp": str(int(later.timestamp()))}
    with pytest.raises(Refused, match="does not match"):
        check(headers, now=later)


@pytest.mark.parametrize("timestamp", ["", "soon", "-5", "1e9", "١٢٣", "9" * 400, "1795403527.5"])
def test_refuses_a_timestamp_that_is_no_unix_time(timestamp: str) -> None:
    with pytest.raises(Refused, match="no usable"):
        check({**GENUINE[Kind.PLAIN], "X-Slipway-Timestamp": timestamp})


def test_refuses_a_plain_event_without_its_timestamp() -> None:
    headers = {name: value for name, value in GENUINE[Kind.PLAIN].items() if "Timestamp" not in name}
    with pytest.raises(Refused, match="no usable"):
        check(headers)


def test_our_own_hook_signs_what_the_receiver_accepts() -> None:
    timestamp = int(NOW.timestamp())
    headers = {
        "X-Slipway-Timestamp": str(timestamp),
        "X-Slipway-Signature-256": plain_signature(SECRET, timestamp, BODY),
    }
    assert check(headers) is Kind.PLAIN


class TestGitLabsSigningToken:
    secrets = WebhookSecrets(gitlab=SIGNING_TOKEN)

    def test_accepts_a_signed_event_also_beside_the_old_token_and_among_older_signatures(self) -> None:
        headers = samples.gitlab_signed_headers(BODY)
        assert check(headers, secrets=self.secrets) is Kind.GITLAB
        assert check({**headers, "X-Gitlab-Token": "whatever"}, secrets=self.secrets) is Kind.GITLAB
        rotated = {**headers, "webhook-signature": f"v1,{'A' * 43}= {headers['webhook-signature']}"}
        assert check(rotated, secrets=self.secrets) is Kind.GITLAB

    def test_never_falls_back_to_the_token_header(self) -> None:
        with pytest.raises(Refused, match="no usable webhook-timestamp"):
            check(samples.gitlab_headers(token=SIGNING_TOKEN), secrets=self.secrets)

    def test_a_signature_does_not_stand_in_for_a_configured_token(self) -> None:
        with pytest.raises(Refused, match="does not match"):
            check(samples.gitlab_signed_headers(BODY), secrets=SECRETS)

    @pytest.mark.parametrize("header", ["webhook-id", "webhook-signature"])
    def test_refuses_when_a_signed_part_is_changed(self, header: str) -> None:
        headers = samples.gitlab_signed_headers(BODY)
        with pytest.raises(Refused, match="does not match"):
            check({**headers, header: headers[header] + "x"}, secrets=self.secrets)

    def test_refuses_another_body_and_a_replay(self) -> None:
        headers = samples.gitlab_signed_headers(BODY)
        with pytest.raises(Refused, match="does not match"):
            check(headers, BODY + b" ", secrets=self.secrets)
        with pytest.raises(Refused, match="not recent"):
            check(headers, secrets=self.secrets, now=NOW + timedelta(minutes=6))

    @pytest.mark.parametrize("token", ["whsec_", "whsec_no base64!", "whsec_abc"])
    def test_a_malformed_signing_token_is_for_a_person_to_mend(self, token: str) -> None:
        with pytest.raises(Misconfigured, match="signing token"):
            check(samples.gitlab_signed_headers(BODY), secrets=WebhookSecrets(gitlab=token))


def test_secrets_never_print() -> None:
    assert SECRET not in f"{SECRETS!r} {SECRETS}"
    for kind, headers in GENUINE.items():
        with pytest.raises(Refused) as caught:
            check({**headers, "X-Slipway-Timestamp": "0"}, b"x", WebhookSecrets(**{kind.value: "a" + SECRET}))
        assert SECRET not in "".join(traceback.format_exception_only(caught.value))
        assert SECRET not in str(caught.value.to_json())
