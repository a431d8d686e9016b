"""What is mutated, and which tests must tell each mutant from the original.

Tests of the same rooms alone: a mutant that only an order's whole way through the service shows is a missing test. None
of them starts a process, and none needs the network.
"""

from __future__ import annotations

from dataclasses import dataclass

# The lowest share of killed mutants, in percent, in each file that decides about money.
FLOOR_PERCENT = 90


@dataclass(frozen=True, slots=True)
class Target:
    """Files that are mutated by turns under the same tests. Those that decide about money have to reach the floor."""

    name: str
    about_money: tuple[str, ...]
    tests: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return self.about_money + self.others


TARGETS = (
    Target(
        "amounts",
        about_money=("chalicelib/amounts.py",),
        others=("chalicelib/rate.py",),
        tests=(
            "tests/unit/test_amounts.py",
            "tests/unit/test_wire.py",
            "tests/unit/test_limits.py",
            "tests/unit/test_rate.py",
            "tests/unit/test_api_keys.py",
        ),
    ),
    Target(
        "market",
        about_money=("chalicelib/routing/candidates.py", "chalicelib/routing/market.py"),
        tests=(
            "tests/unit/test_candidates.py",
            "tests/unit/test_pools_looked_at.py",
            "tests/unit/test_market.py",
            "tests/unit/test_market_candidates.py",
            "tests/unit/test_market_prices.py",
            "tests/unit/test_quote_and_router.py",
            "tests/unit/test_routes.py",
            "tests/unit/test_leg_cost.py",
            "tests/unit/test_reference_price.py",
            "tests/unit/test_forged_pools.py",
        ),
    ),
    Target(
        "routing",
        about_money=(
            "chalicelib/routing/quote.py",
            "chalicelib/routing/router.py",
            "chalicelib/routing/swap_plan.py",
        ),
        tests=(
            "tests/unit/test_quote_and_router.py",
            "tests/unit/test_routes.py",
            "tests/unit/test_swap_plan.py",
            "tests/unit/test_leg_cost.py",
            "tests/unit/test_two_hop_splits.py",
            "tests/unit/test_version_1_routes.py",
        ),
    ),
    Target(
        "many amounts",
        about_money=("chalicelib/routing/many_amounts.py", "chalicelib/venues/rounding.py"),
        tests=("tests/unit/test_many_amounts.py", "tests/unit/test_rounding.py", "tests/unit/test_look.py"),
    ),
    Target(
        "waiting",
        about_money=("chalicelib/waiting/look.py", "chalicelib/waiting/waiting_order.py"),
        tests=("tests/unit/test_look.py", "tests/unit/test_waiting_order.py"),
    ),
    Target(
        "quote streams",
        about_money=("chalicelib/waiting/quote_stream.py",),
        tests=("tests/unit/test_quote_stream.py",),
    ),
    Target(
        "watching",
        about_money=("chalicelib/waiting/hand_over.py",),
        others=(
            "chalicelib/waiting/alongside.py",
            "chalicelib/waiting/book.py",
            "chalicelib/waiting/circulation.py",
            "chalicelib/waiting/late_looks.py",
            "chalicelib/waiting/looks_told.py",
            "chalicelib/waiting/quote_streaming.py",
            "chalicelib/waiting/wakes.py",
            "chalicelib/waiting/waking_orders.py",
            "chalicelib/waiting/watch.py",
        ),
        tests=(
            "tests/unit/test_hand_over.py",
            "tests/integration/test_watch.py",
            "tests/integration/test_handing_over.py",
            "tests/integration/test_quote_streams.py",
            "tests/integration/test_quote_stream_limits.py",
        ),
    ),
    Target(
        "split",
        about_money=(
            "chalicelib/routing/outlet.py",
            "chalicelib/routing/split.py",
            "chalicelib/routing/basin.py",
            "chalicelib/routing/water_filling.py",
        ),
        tests=(
            "tests/unit/test_recorded_splits.py",
            "tests/unit/test_outlet.py",
            "tests/unit/test_water_filling.py",
            "tests/unit/test_split.py",
        ),
    ),
    Target(
        "risk",
        about_money=(
            "chalicelib/risk/counters.py",
            "chalicelib/routing/depth.py",
            "chalicelib/risk/limits.py",
            "chalicelib/risk/network_fees.py",
            "chalicelib/risk/reference_price.py",
        ),
        tests=(
            "tests/unit/test_counters.py",
            "tests/unit/test_depth.py",
            "tests/unit/test_limits.py",
            "tests/unit/test_network_fees.py",
            "tests/unit/test_price_attacks.py",
            "tests/unit/test_reference_price.py",
        ),
    ),
    Target(
        "venues",
        about_money=(
            "chalicelib/venues/fixed_point.py",
            "chalicelib/venues/meteora_damm_v1/math.py",
            "chalicelib/venues/meteora_damm_v1/pool.py",
            "chalicelib/venues/meteora_damm_v2/math.py",
            "chalicelib/venues/meteora_damm_v2/pool.py",
            "chalicelib/venues/meteora_dlmm/math.py",
            "chalicelib/venues/meteora_dlmm/pool.py",
            "chalicelib/venues/raydium_amm_v4/math.py",
            "chalicelib/venues/raydium_amm_v4/pool.py",
            "chalicelib/venues/raydium_clmm/math.py",
            "chalicelib/venues/raydium_clmm/pool.py",
            "chalicelib/venues/raydium_cpmm/math.py",
            "chalicelib/venues/raydium_cpmm/pool.py",
        ),
        others=(
            "chalicelib/venues/pool_accounts.py",
            "chalicelib/venues/sides.py",
            "chalicelib/venues/raydium_cpmm/refusals.py",
        ),
        tests=(
            "tests/unit/test_meteora_damm_v1.py",
            "tests/unit/test_raydium_amm_v4.py",
            "tests/unit/test_meteora_damm_v2.py",
            "tests/unit/test_meteora_damm_v2_math.py",
            "tests/unit/test_emulated_meteora_damm_v2.py",
            "tests/unit/test_meteora_dlmm_math.py",
            "tests/unit/test_meteora_dlmm.py",
            "tests/unit/test_meteora_dlmm_reserves.py",
            "tests/unit/test_emulated_meteora_dlmm_refusals.py",
            "tests/unit/test_version_1_routes.py::TestSpareAccounts",
            "tests/unit/test_raydium_clmm.py",
            "tests/unit/test_raydium_clmm_ladder.py",
            "tests/unit/test_raydium_clmm_math.py",
            "tests/unit/test_raydium_clmm_pool.py",
            "tests/unit/test_emulated_raydium_clmm.py",
            "tests/unit/test_raydium_cpmm.py",
            "tests/unit/test_raydium_cpmm_edges.py",
            "tests/unit/test_rounding.py",
            "tests/unit/test_swap_instructions.py",
            "tests/unit/test_swaps_that_name_no_mints.py",
            "tests/unit/test_derived_pools.py",
            "tests/unit/test_pool_age.py",
            "tests/unit/test_pool_accounts.py",
            "tests/unit/test_meteora_damm_v1_math.py",
            "tests/unit/test_forged_pools.py",
            "tests/unit/test_emulated_meteora_dlmm.py",
            "tests/unit/test_emulated_raydium_cpmm.py",
            "tests/conformance/test_vectors.py::test_every_swap_of_the_real_program_is_quoted_to_the_unit",
        ),
    ),
    Target(
        "chain",
        about_money=(
            "chalicelib/solana/fill.py",
            "chalicelib/solana/landing.py",
            "chalicelib/solana/signing_policy.py",
        ),
        tests=(
            "tests/unit/test_landing.py",
            "tests/unit/test_signing_policy.py",
            "tests/unit/test_signed_amounts.py",
            "tests/unit/test_fill.py",
            "tests/unit/test_failover_expiry.py",
            "tests/unit/test_hostile_node.py",
            "tests/unit/test_signing.py",
            "tests/unit/test_signing_version_1.py",
        ),
    ),
    Target(
        "order",
        about_money=("chalicelib/orders/order.py", "chalicelib/orders/states.py", "chalicelib/orders/life.py"),
        others=("chalicelib/orders/endings.py",),
        tests=(
            "tests/unit/test_order.py",
            "tests/unit/test_order_life.py",
            "tests/unit/test_order_records.py",
            "tests/unit/test_endings.py",
            "tests/unit/test_counters.py",
        ),
    ),
    Target(
        "account",
        about_money=(
            "chalicelib/orders/fills.py",
            "chalicelib/orders/holdings.py",
            "chalicelib/orders/mass_cancel.py",
        ),
        tests=("tests/unit/test_fills.py", "tests/unit/test_holdings.py", "tests/unit/test_mass_cancel.py"),
    ),
    Target(
        "triggers",
        about_money=(
            "chalicelib/orders/triggers.py",
            "chalicelib/orders/changing.py",
            "chalicelib/orders/sense.py",
        ),
        tests=("tests/unit/test_triggers.py", "tests/unit/test_changing.py", "tests/unit/test_order.py"),
    ),
    Target(
        "execution",
        about_money=("chalicelib/orders/execution.py", "chalicelib/orders/outage.py"),
        tests=(
            "tests/unit/test_execution_under_limits.py",
            "tests/unit/test_terms_in_execution.py",
            "tests/integration/test_retries_learn.py",
            "tests/integration/test_execution.py",
            "tests/unit/test_waiting_in_execution.py",
        ),
    ),
    Target(
        "trading",
        about_money=(
            "chalicelib/orders/trading.py",
            "chalicelib/orders/settling.py",
            "chalicelib/orders/route_legs.py",
        ),
        tests=(
            "tests/unit/test_settling.py",
            "tests/unit/test_route_legs.py",
            "tests/integration/test_orders_in_process.py",
            "tests/integration/test_refusals_on_localnet.py",
            "tests/integration/test_wallet_on_localnet.py",
        ),
    ),
    Target(
        "intake",
        about_money=("chalicelib/orders/intake.py",),
        tests=("tests/unit/test_intake_decisions.py", "tests/unit/test_intake_of_waiting_orders.py"),
    ),
    Target(
        "repetition",
        about_money=("chalicelib/orders/same_request.py",),
        others=("chalicelib/orders/pair.py", "chalicelib/orders/token_directory.py"),
        tests=("tests/unit/test_same_request.py", "tests/unit/test_token_directory.py"),
    ),
    Target(
        "delivery",
        about_money=(),
        others=("chalicelib/orders/delivery.py",),
        tests=("tests/unit/test_delivery_decisions.py",),
    ),
    Target(
        "recovery",
        about_money=(),
        others=("chalicelib/orders/recovery.py", "chalicelib/orders/late.py"),
        tests=("tests/unit/test_recovery_decisions.py", "tests/unit/test_late_orders.py"),
    ),
    Target(
        "redrive",
        about_money=(),
        others=("chalicelib/orders/redrive.py", "chalicelib/orders/rewriting.py"),
        tests=("tests/unit/test_redrive_decisions.py", "tests/unit/test_rewriting.py"),
    ),
    Target(
        "starts",
        about_money=(),
        others=("chalicelib/orders/turns.py", "chalicelib/orders/starts.py"),
        tests=("tests/unit/test_turn_rules.py", "tests/unit/test_turns.py"),
    ),
)

# Files of the rooms above that are not mutated, and why not.
LEFT_OUT = {
    "chalicelib/orders/dry_run.py": "what dryRun answers: it decides nothing",
    "chalicelib/orders/field_types.py": "types",
    "chalicelib/orders/overselling.py": "a warning beside an answer: it decides nothing",
    "chalicelib/orders/message.py": "the form of a queue's message",
    "chalicelib/orders/order_changer.py": "its checks are others', which are mutated; its tests go through HTTP",
    "chalicelib/orders/ports.py": "protocols and records",
    "chalicelib/orders/quoting.py": "what GET /quotes answers; its numbers are the router's",
    "chalicelib/orders/trial.py": "what dryRun answers of a simulation, which nobody signs",
    "chalicelib/risk/controls.py": "a record",
    "chalicelib/risk/halt.py": "a record",
    "chalicelib/venues/derived_addresses.py": "a cache",
    "chalicelib/venues/meteora_damm_v1/instruction.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/meteora_damm_v1/layout.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/meteora_damm_v1/refusals.py": "a table",
    "chalicelib/venues/meteora_damm_v2/instruction.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/meteora_damm_v2/layout.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/meteora_damm_v2/refusals.py": "a table",
    "chalicelib/venues/meteora_dlmm/instruction.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/meteora_dlmm/layout.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/meteora_dlmm/refusals.py": "a table",
    "chalicelib/venues/pool_reader.py": "reads again what changed meanwhile",
    "chalicelib/venues/raydium_amm_v4/instruction.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/raydium_amm_v4/layout.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/raydium_amm_v4/refusals.py": "a table",
    "chalicelib/venues/raydium_clmm/instruction.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/raydium_clmm/layout.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/raydium_clmm/refusals.py": "a table",
    "chalicelib/venues/raydium_cpmm/instruction.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/raydium_cpmm/layout.py": "accounts and bytes, which are held against the real program",
    "chalicelib/venues/raydium_addresses.py": "addresses, which are held against the real programs",
    "chalicelib/venues/records.py": "how tuples are made",
    "chalicelib/venues/refusals.py": "a table",
    "chalicelib/venues/registry.py": "which pools there are",
    "chalicelib/venues/supported.py": "a list",
    "chalicelib/venues/venue.py": "protocols and records",
    "chalicelib/waiting/last_told.py": "a record",
    "chalicelib/waiting/pair_market.py": "addresses as text and back",
    "chalicelib/waiting/ports.py": "protocols and records",
}
