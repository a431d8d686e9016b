from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from infra.localnet import base58


@given(st.binary(max_size=80))
def test_what_is_encoded_can_be_decoded(data: bytes) -> None:
    assert base58.decode(base58.encode(data)) == data


@given(st.binary(min_size=32, max_size=32))
def test_addresses_read_as_everybody_else_writes_them(data: bytes) -> None:
    assert base58.encode(data) == str(Pubkey(data))


def test_letters_that_look_alike_are_refused() -> None:
    for letter in "0OIl":
        with pytest.raises(ValueError, match=letter):
            base58.decode(letter)
