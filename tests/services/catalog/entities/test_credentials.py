"""What credentials look like."""

from services.catalog.entities.credentials import new_pair, new_token, pair_hash, token_hash


def test_tokens_differ_and_are_never_taken_for_a_jwt() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert not any("." in token for token in tokens)


def test_a_token_is_never_found_as_a_pair() -> None:
    api_key, secret_key = new_pair()
    assert len({token_hash(f"{api_key}\0{secret_key}"), pair_hash(api_key, secret_key), pair_hash(secret_key, api_key)}) == 3
