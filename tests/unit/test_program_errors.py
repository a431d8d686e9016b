"""A chain's refusal becomes the right one of our errors, in words that say what happened and where."""

from __future__ import annotations

from typing import Any

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AmountTooSmall,
    ExecutionError,
    InsufficientBalance,
    PermanentError,
    SlippageExceeded,
    TokenNotTradable,
    TransactionExpired,
    TransactionRejected,
    TransientError,
    VenueUnavailable,
)
from chalicelib.solana.fill import FillUnreadable
from chalicelib.solana.program_errors import ErrorClassifier, KnownError, ProgramRefusals, Refusal
from chalicelib.venues.refusals import PRICE_MOVED as MOVED
from chalicelib.venues.supported import error_classifier

ERRORS = error_classifier()
BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
SYSTEM = Pubkey.from_string("11111111111111111111111111111111")
TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
RAYDIUM = Pubkey.from_string("CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C")
METEORA = Pubkey.from_string("LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo")
JUPITER = Pubkey.from_string("JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4")


def _custom(program: Pubkey, code: int, logs: tuple[str, ...] = ()) -> ExecutionError:
    error = ERRORS.classify({"InstructionError": [1, {"Custom": code}]}, [BUDGET, program], logs)
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("program", "code", "kind"),
    [
        (RAYDIUM, 6005, SlippageExceeded),
        (RAYDIUM, 2505, AmountTooSmall),
        (RAYDIUM, 6000, VenueUnavailable),
        (METEORA, 6003, SlippageExceeded),
        (METEORA, 6039, AmountTooSmall),
        (METEORA, 6036, VenueUnavailable),
        (METEORA, 3005, VenueUnavailable),
        (METEORA, 6042, VenueUnavailable),
        (TOKEN, 1, InsufficientBalance),
        (TOKEN_2022, 1, InsufficientBalance),
        (TOKEN, 17, TransactionRejected),
        (SYSTEM, 1, InsufficientBalance),
        (SYSTEM, 0, TransientError),
    ],
)
def test_a_programs_code_has_its_meaning(program: Pubkey, code: int, kind: type[ExecutionError]) -> None:
    assert type(_custom(program, code)) is kind


def test_the_same_code_means_another_thing_at_another_program() -> None:
    assert isinstance(_custom(RAYDIUM, 6003), VenueUnavailable)
    assert isinstance(_custom(METEORA, 6005), VenueUnavailable)
    assert isinstance(_custom(METEORA, 6001), VenueUnavailable)
    assert isinstance(_custom(JUPITER, 6001), TransactionRejected)


def test_an_unknown_refusal_of_a_swap_program_can_be_tried_again_and_any_other_not() -> None:
    assert isinstance(_custom(METEORA, 9_999), TransientError)
    assert isinstance(_custom(JUPITER, 9_999), PermanentError)
    assert isinstance(_custom(TOKEN, 9_999), PermanentError)


def test_the_error_of_a_program_that_the_swap_called_is_that_programs() -> None:
    logs = (
        f"Program {METEORA} invoke [1]",
        f"Program {TOKEN} invoke [2]",
        "Program log: Error: insufficient funds",
        f"Program {TOKEN} failed: custom program error: 0x1",
        f"Program {METEORA} failed: custom program error: 0x1",
    )
    error = _custom(METEORA, 1, logs)
    assert isinstance(error, InsufficientBalance)
    assert "token program" in str(error)


def test_without_logs_a_code_that_no_swap_program_has_is_taken_for_a_token_programs() -> None:
    assert isinstance(_custom(RAYDIUM, 1), InsufficientBalance)


def test_what_a_program_prints_can_not_pose_as_the_runtime() -> None:
    logs = (
        f"Program log: Program {TOKEN} failed: custom program error: 0x1775",
        f"Program {RAYDIUM} failed: custom program error: 0x1775",
    )
    assert isinstance(_custom(RAYDIUM, 6005, logs), SlippageExceeded)


@pytest.mark.parametrize(
    ("account", "kind"), [("input_token_account", InsufficientBalance), ("pool_state", VenueUnavailable)]
)
def test_a_missing_account_to_pay_from_is_an_insufficient_balance(account: str, kind: type[ExecutionError]) -> None:
    logs = (
        f"Program log: AnchorError caused by account: {account}. Error Code: AccountNotInitialized. Error Number: "
        "3012. Error Message: The program expected this account to be already initialized.",
        f"Program {RAYDIUM} failed: custom program error: 0xbc4",
    )
    assert type(_custom(RAYDIUM, 3012, logs)) is kind


def test_without_logs_the_account_that_is_missing_is_the_one_to_pay_from() -> None:
    assert isinstance(_custom(METEORA, 3012), InsufficientBalance)
    assert isinstance(_custom(JUPITER, 3012), TransactionRejected)


def test_an_error_that_a_release_numbers_otherwise_is_known_by_its_name() -> None:
    """Raydium's CLMM gave 6022 to TooLittleOutputReceived, then to another error, and TooLittleOutputReceived 6018."""
    program = Pubkey(bytes([33] * 32))
    errors = ErrorClassifier([ProgramRefusals(program, "CLMM", [KnownError("TooLittleOutputReceived", 6022, MOVED)])])

    def refused(name: str, code: int) -> ExecutionError | None:
        line = f"Program log: AnchorError occurred. Error Code: {name}. Error Number: {code}. Error Message: No."
        return errors.classify({"InstructionError": [0, {"Custom": code}]}, [program], [line])

    assert isinstance(refused("TooLittleOutputReceived", 6022), SlippageExceeded)
    assert isinstance(refused("TooLittleOutputReceived", 6018), SlippageExceeded)
    assert isinstance(refused("TooSmallInputOrOutputAmount", 6022), VenueUnavailable)
    assert isinstance(errors.classify({"InstructionError": [0, {"Custom": 6022}]}, [program]), SlippageExceeded)


def test_a_name_that_is_logged_of_another_number_names_nothing() -> None:
    logs = ("Program log: AnchorError occurred. Error Code: InsufficientVault. Error Number: 6012. Error Message: No.",)
    assert isinstance(_custom(RAYDIUM, 6005, logs), SlippageExceeded)


def test_of_two_programs_whose_numbers_overlap_the_one_that_failed_counts() -> None:
    pool, vault = Pubkey(bytes([34] * 32)), Pubkey(bytes([35] * 32))
    closed = Refusal(VenueUnavailable, "the vault is closed")
    errors = ErrorClassifier(
        [
            ProgramRefusals(pool, "pools", [KnownError("ExceededSlippage", 6000, MOVED)]),
            ProgramRefusals(vault, "vaults", [KnownError("VaultIsDisabled", 6000, closed)]),
        ]
    )
    err: Any = {"InstructionError": [0, {"Custom": 6000}]}
    ends = f"Program {pool} failed: custom program error: 0x1770"
    assert isinstance(errors.classify(err, [pool], [ends]), SlippageExceeded)
    refused = errors.classify(err, [pool], [f"Program {vault} failed: custom program error: 0x1770", ends])
    assert str(refused).startswith("vaults: the vault is closed")


def test_a_swap_programs_own_low_codes_are_not_taken_for_a_token_programs() -> None:
    program = Pubkey(bytes([36] * 32))
    errors = ErrorClassifier([ProgramRefusals(program, "AMM", [KnownError("ExceededSlippage", 30, MOVED)])])
    assert isinstance(errors.classify({"InstructionError": [0, {"Custom": 30}]}, [program]), SlippageExceeded)
    assert isinstance(errors.classify({"InstructionError": [0, {"Custom": 1}]}, [program]), InsufficientBalance)


@pytest.mark.parametrize("origin", ["thrown in programs/cp-swap/src/instructions/swap_base_input.rs:150", "occurred"])
def test_the_text_says_what_happened_and_where(origin: str) -> None:
    logs = (
        f"Program log: AnchorError {origin}. "
        "Error Code: ExceededSlippage. Error Number: 6005. Error Message: Exceeds desired slippage limit.",
        f"Program {RAYDIUM} failed: custom program error: 0x1775",
    )
    assert str(_custom(RAYDIUM, 6005, logs)) == (
        "Raydium CPMM: the price moved beyond the order's slippage (instruction 1, error 6005 ExceededSlippage)"
    )


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        ("InsufficientFundsForFee", InsufficientBalance),
        ({"InsufficientFundsForRent": {"account_index": 0}}, InsufficientBalance),
        ("AccountNotFound", InsufficientBalance),
        ("BlockhashNotFound", TransactionExpired),
        ("AccountInUse", TransientError),
        ("WouldExceedMaxBlockCostLimit", TransientError),
        ("SignatureFailure", TransactionRejected),
        ({"DuplicateInstruction": 3}, TransactionRejected),
        ("SomethingOfTheFuture", TransactionRejected),
        ({"InstructionError": [1, "ComputationalBudgetExceeded"]}, VenueUnavailable),
        ({"InstructionError": [1, "InsufficientFunds"]}, InsufficientBalance),
        ({"InstructionError": [1, "MissingRequiredSignature"]}, VenueUnavailable),
        ({"InstructionError": [0, "InvalidInstructionData"]}, TransactionRejected),
        ({"InstructionError": [1, {"BorshIoError": "Unknown"}]}, VenueUnavailable),
        ({"InstructionError": [9, "GenericError"]}, TransactionRejected),
    ],
)
def test_the_runtimes_own_errors_are_told_apart(err: Any, kind: type[ExecutionError]) -> None:
    error = ERRORS.classify(err, [BUDGET, METEORA])
    assert type(error) is kind
    assert str(error)


def test_a_transaction_that_was_processed_before_has_not_failed() -> None:
    assert ERRORS.classify("AlreadyProcessed", [RAYDIUM]) is None


def test_a_landed_transactions_failure_is_read_from_its_json() -> None:
    transaction: dict[str, Any] = {
        "transaction": {
            "message": {
                "accountKeys": ["11111111111111111111111111111112", str(BUDGET)],
                "instructions": [{"programIdIndex": 1}, {"programIdIndex": 2}],
            }
        },
        "meta": {
            "err": {"InstructionError": [1, {"Custom": 6003}]},
            "logMessages": None,
            "loadedAddresses": {"writable": [str(METEORA)], "readonly": []},
        },
    }
    assert isinstance(ERRORS.failure_of(transaction), SlippageExceeded)
    transaction["meta"]["err"] = {"InstructionError": [1, {"Custom": 9_999}]}
    refused = ERRORS.failure_of(transaction)
    assert refused is not None
    assert refused.leg == 0
    transaction["meta"]["err"] = None
    assert ERRORS.failure_of(transaction) is None


LANDED: dict[str, Any] = {
    "transaction": {"message": {"accountKeys": [str(METEORA)], "instructions": [{"programIdIndex": 0}]}},
    "meta": {"err": {"InstructionError": [0, {"Custom": 6003}]}},
}


@pytest.mark.parametrize(
    "null",
    [
        {"meta": None},
        {"transaction": None},
        {"transaction": {"message": None}},
        {"transaction": {"message": {**LANDED["transaction"]["message"], "accountKeys": None}}},
        {"transaction": {"message": {**LANDED["transaction"]["message"], "instructions": None}}},
        {"transaction": {"message": {**LANDED["transaction"]["message"], "instructions": [None]}}},
    ],
)
def test_a_transaction_of_which_a_node_kept_only_a_part_is_unreadable(null: dict[str, Any]) -> None:
    assert isinstance(ERRORS.failure_of(LANDED), SlippageExceeded)
    with pytest.raises(FillUnreadable):
        ERRORS.failure_of({**LANDED, **null})


@pytest.mark.parametrize("loaded", [None, {"writable": None, "readonly": None}])
def test_no_loaded_addresses_may_be_said_by_null(loaded: object) -> None:
    transaction = {**LANDED, "meta": {**LANDED["meta"], "loadedAddresses": loaded}}
    assert isinstance(ERRORS.failure_of(transaction), SlippageExceeded)


# --- whose refusal it is --------------------------------------------------------------------------------------------


def _refused_at(index: int, code: int, programs: list[Pubkey], logs: tuple[str, ...] = ()) -> ExecutionError:
    error = ERRORS.classify({"InstructionError": [index, {"Custom": code}]}, programs, logs)
    assert error is not None
    return error


@pytest.mark.parametrize(("index", "leg"), [(2, 0), (3, 1), (5, 2)])
def test_the_leg_that_refused_is_told_by_the_swaps_before_it(index: int, leg: int) -> None:
    programs = [BUDGET, TOKEN, RAYDIUM, METEORA, TOKEN, RAYDIUM, TOKEN]
    assert _refused_at(index, 9_999, programs).leg == leg


def test_a_token_programs_refusal_within_a_swap_is_that_legs() -> None:
    logs = (
        f"Program {TOKEN} failed: custom program error: 0x11",
        f"Program {METEORA} failed: custom program error: 0x11",
    )
    assert _refused_at(2, 17, [BUDGET, RAYDIUM, METEORA], logs).leg == 1
    assert ERRORS.classify({"InstructionError": [1, "ProgramFailedToComplete"]}, [BUDGET, METEORA]).leg == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(("program", "code"), [(RAYDIUM, 6005), (METEORA, 6003)])
def test_a_floor_that_was_not_paid_is_told_with_its_leg_for_a_hop_may_have_no_slippage(
    program: Pubkey, code: int
) -> None:
    refused = _custom(program, code)
    assert isinstance(refused, SlippageExceeded)
    assert refused.leg == 0


@pytest.mark.parametrize(
    ("program", "code"),
    [(METEORA, 3012), (SYSTEM, 1), (TOKEN, 17), (JUPITER, 6001)],
    ids=["nothing to pay with", "no SOL", "outside a swap", "no swap program"],
)
def test_no_pool_is_blamed_for_what_isnt_its_own(program: Pubkey, code: int) -> None:
    assert _custom(program, code).leg is None


def test_no_pool_is_blamed_for_the_transaction_as_a_whole() -> None:
    error = ERRORS.classify("WouldExceedMaxAccountCostLimit", [RAYDIUM])
    assert error is not None
    assert error.leg is None


@pytest.mark.parametrize(
    ("code", "kind", "words", "leg"),
    [
        (17, TransactionRejected, "frozen", 0),
        (36, TransactionRejected, "disable-required-transfer-memos", 0),
        (37, TokenNotTradable, "can't be transferred", 0),
        (42, TransactionRejected, "disable-cpi-guard", None),
        (67, TokenNotTradable, "paused", 0),
    ],
)
def test_what_token_2022_refuses_is_said_in_words(
    code: int, kind: type[ExecutionError], words: str, leg: int | None
) -> None:
    """A guard stops every pool. A program that sends no memo is not each of them, and a token is not all tokens."""
    logs = (
        f"Program {TOKEN_2022} failed: custom program error: {code:#x}",
        f"Program {RAYDIUM} failed: custom program error: {code:#x}",
    )
    error = _custom(RAYDIUM, code, logs)
    assert type(error) is kind
    assert words in str(error)
    assert error.leg == leg


def test_a_hook_that_no_account_was_brought_for_is_the_tokens() -> None:
    error = _custom(METEORA, 6077)
    assert isinstance(error, TokenNotTradable)
    assert error.http_status == 422
    assert error.retry_after_seconds is None
