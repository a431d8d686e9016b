/* The never-twice protocol, for SPIN: what chalicelib/orders and chalicelib/solana/landing.py do to one order.
 *
 * One order and its redrive; workers that are delivered its messages at any time, twice and late, and die at any step;
 * a client that cancels; an operator who redrives; clocks that differ; nodes of which one lags; a chain that leaves
 * transactions out, takes them late, refuses them, and drops blocks that are not final. docs/reliability.md says which
 * code each part stands for, and what is left out; `python -m quality.protocol` checks it, and each planted mistake.
 *
 * An atomic block is one write, one question to a node, or one send: between any two of them everything else may happen.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2      /* orders/life.py MAX_ATTEMPTS is 3 */
#endif
#ifndef REDRIVES
#define REDRIVES 0      /* how many operators redrive the order once it failed, at the same time */
#endif
#ifndef DEADLINE
#define DEADLINE 2      /* in ticks of the clock; so are the next three */
#endif
#define AHEAD(w) (w == 1) /* by so much the second worker's clock is ahead of the others' */
#define LIFE 1          /* a worker is killed at the tick after so many */
#ifdef LEASE_SHORTER_THAN_LIFE
#define LEASE 1
#else
#define LEASE 3         /* > LIFE + AHEAD: orders/life.py claim, settings.lease_ms */
#endif

/* The chain. Heights are kept relative to the finalized one, so that time has no end and the states do. */
#ifndef TIP
#define TIP 2           /* blocks above the finalized one, which may be dropped again */
#endif
#define VALID_FOR 2     /* blocks for which a signed transaction may land, counted from the blockhash's own */
#define LAG 2           /* blocks by which a lagging node is behind */
#define FINAL (LAG + 1) /* where `height` and `place` have the finalized block; 1 is so old that every node knows it */
#ifndef TRANSACTIONS
#define TRANSACTIONS 3  /* at once; one that is decided for everybody makes room */
#endif

mtype:state = { OPEN, PENDING, ROUTING, BUILDING, SUBMITTED, RETRYING, CONFIRMED, FAILED, CANCELLED, EXPIRED };
mtype:event = { triggered, latched, changed, followed, returned };
mtype:event = { queued, attempt_started, route_chosen, signed, filled, attempt_failed, given_up, cancelled, expired };

/* --- the order as it is stored ------------------------------------------------------------------------------------ */

#ifdef WAITS
mtype:state state = OPEN;   /* an oco: it waits for its limit price and for its stop */
#else
mtype:state state = PENDING;
#endif
byte trigger;           /* 0 none, else LIMIT_PRICE or STOP_PRICE */
#define LIMIT_PRICE 2   /* each is the floor that it gives, too */
#define STOP_PRICE 1
byte failures;          /* retry_count */
byte floor;             /* min_out: 0 none, else one of the quotes */
bool floor_fixed;       /* first_quoted_out is there */
byte holder;            /* the lease's owner, from 1 */
byte lease;             /* ticks left of it */
byte submission;        /* the stored transaction, from 1 */
byte deadline = DEADLINE;
bool redriven;          /* the order is the redrive of one that failed */
byte seen_failed;       /* operators who have seen it failed and not yet placed it again */

/* --- the workers -------------------------------------------------------------------------------------------------- */

bool alive[WORKERS];
bool fresh[WORKERS];    /* nobody has written the order since it was loaded: the revision that its write is guarded by */
bool former[WORKERS];   /* its message was of the order that has been redriven since */
bool holding[WORKERS];  /* from its claim on, until it lets go */
byte age[WORKERS];
byte mine[WORKERS];     /* the transaction that it has signed or settles, from 1 */
byte proof[WORKERS];    /* the finalized height that a node told it, past its transaction's last valid one */

/* --- the chain ---------------------------------------------------------------------------------------------------- */

byte tip;               /* blocks above the finalized one */
byte confirmed_above;   /* of them so many are confirmed; none where confirmed is finalized */
byte swaps;             /* transactions of the order, and of its redrive, that are in the chain and took effect */

typedef Transaction {
    bool exists;
    bool stored;        /* has been the order's submission */
    bool sent;          /* a leader may yet put it into a block */
    bool late;          /* was signed at or after the deadline, by its signer's clock */
    bool swapped;       /* landed and took effect; landed with an error otherwise */
    byte last_valid;    /* the height until which it may land: FINAL is the finalized one */
    byte place;         /* the height at which it landed; 0: in no block */
#ifdef EXPIRY_IN_SLOTS
    byte slots;         /* left of its blockhash's life, were each slot a block */
#endif
}
Transaction tx[TRANSACTIONS];

byte each, nth;         /* of loops; 0 between steps */

#define ENDED (state == CONFIRMED || state == FAILED || state == CANCELLED || state == EXPIRED)
#define PAST_DEADLINE(w) (DEADLINE > 0 && deadline <= AHEAD(w))
#define LEASED(w) (holder != 0 && holder != w + 1 && lease > AHEAD(w))

#define CONFIRMED_OR_BETTER(i) (tx[i].place != 0 && tx[i].place <= FINAL + confirmed_above)
#define FINALIZED(i) (tx[i].place != 0 && tx[i].place <= FINAL)
#define MAY_LAND(i) (tx[i].exists && tx[i].sent && tx[i].place == 0 && tx[i].last_valid >= FINAL + tip)
#define DECIDED(i) (FINALIZED(i) || (tx[i].place == 0 && tx[i].last_valid < FINAL))

/* What a node tells of a transaction. A fill is read at `confirmed`; that it landed with an error frees the order for
 * another one, so it must be final. */
#define SWAP_IS_READ(i) (CONFIRMED_OR_BETTER(i) && tx[i].swapped)
#ifdef FAILURE_BEFORE_FINALITY
#define FAILURE_IS_READ(i) (CONFIRMED_OR_BETTER(i) && !tx[i].swapped)
#else
#define FAILURE_IS_READ(i) (FINALIZED(i) && !tx[i].swapped)
#endif
#define LAGGARD_MISSES(i) (tx[i].place == 0 || tx[i].place > FINAL - LAG)
#define FORGETFUL_MISSES(i) (tx[i].place <= 1)
#ifdef LAGGARD_BELIEVED
#define LAGGARD_IS_BELIEVED(w) true
#else
#define LAGGARD_IS_BELIEVED(w) (proof[w] <= FINAL - LAG)
#endif
#ifdef FORGETFUL_BELIEVED
#define FORGETFUL_IS_BELIEVED true
#else
#define FORGETFUL_IS_BELIEVED false
#endif
#ifdef EXPIRY_BY_AN_UNFINALIZED_HEIGHT
#define KNOWN_HEIGHT (FINAL + tip)
#else
#define KNOWN_HEIGHT FINAL
#endif
#ifdef SEARCHED_BEFORE_THE_HEIGHT
#define NOT_FOUND ask_height
#define AFTER_THE_HEIGHT fail
#else
#define NOT_FOUND watch
#define AFTER_THE_HEIGHT search_again
#endif
#ifdef TOWER
#define FINALIZABLE (confirmed_above > 0)
#else
#define FINALIZABLE true
#endif
#ifdef DROPS_CONFIRMED
#define DROPPED_DOWN_TO 0
#else
#define DROPPED_DOWN_TO confirmed_above
#endif
#ifdef REDRIVES_AN_UNDECIDED_ORDER
#define MAY_BE_REDRIVEN (state == FAILED || state == SUBMITTED)
#else
#define MAY_BE_REDRIVEN (state == FAILED)
#endif
#ifdef REDRIVEN_UNDER_ANY_KEY
#define ONE_KEY false
#else
#define ONE_KEY true
#endif
#define PAST_DEADLINE_OF_ALL (DEADLINE > 0 && deadline == 0)

/* What is promised. Each is asserted where it could break; the runner tells a broken one by its text. */
#define ONCE (swaps <= 1)
#define FINAL_STATE (!ENDED)
#define LAWFUL(legal) (legal == true)
#define NOTHING_LANDS_AFTER_THE_END(i) (!ENDED || (state == CONFIRMED && submission == i + 1))
#define STORED_BEFORE_SENT(i) (tx[i].stored)
#ifdef WATCH_LEASE
#define NOTHING_SENT_AFTER_THE_END(w) true  /* who still watches sends bytes that can't land, as is promised besides */
#else
#define NOTHING_SENT_AFTER_THE_END(w) (!ENDED && former[w] == false)
#endif
#define SIGNED_IN_TIME(i) (tx[i].late == false)
#define FLOOR_KEPT(least) (floor <= least)
#define ONE_HOLDER(others) (others == 0)
#define ONE_REDRIVE (redriven == false)
#if defined(DROPS_CONFIRMED) && !defined(FILL_IS_FINAL)
#define TRUE_FILL(i) true  /* by the old rules a fill is read at `confirmed`: see docs/reliability.md */
#define FILL_STAYS(i) true
#else
#define TRUE_FILL(i) (tx[i].place > 0 && tx[i].swapped)
#define FILL_STAYS(i) (state != CONFIRMED || submission != i + 1)
#endif

/* orders/states.py LEGAL: tests/unit/test_protocol.py holds the one to the other, line by line. */
inline happen(what) {
    assert(FINAL_STATE);
    if
    :: state == OPEN && what == triggered -> state = PENDING
    :: state == OPEN && what == latched -> state = OPEN
    :: state == OPEN && what == changed -> state = OPEN
    :: state == OPEN && what == followed -> state = OPEN
    :: state == OPEN && what == given_up -> state = FAILED
    :: state == OPEN && what == cancelled -> state = CANCELLED
    :: state == OPEN && what == expired -> state = EXPIRED
    :: state == PENDING && what == changed -> state = PENDING
    :: state == PENDING && what == returned -> state = OPEN
    :: state == ROUTING && what == returned -> state = OPEN
    :: state == BUILDING && what == returned -> state = OPEN
    :: state == SUBMITTED && what == returned -> state = OPEN
    :: state == PENDING && what == queued -> state = PENDING
    :: state == PENDING && what == attempt_started -> state = ROUTING
    :: state == PENDING && what == given_up -> state = FAILED
    :: state == PENDING && what == cancelled -> state = CANCELLED
    :: state == PENDING && what == expired -> state = EXPIRED
    :: state == ROUTING && what == route_chosen -> state = BUILDING
    :: state == ROUTING && what == attempt_failed -> state = RETRYING
    :: state == ROUTING && what == given_up -> state = FAILED
    :: state == ROUTING && what == cancelled -> state = CANCELLED
    :: state == ROUTING && what == expired -> state = EXPIRED
    :: state == BUILDING && what == signed -> state = SUBMITTED
    :: state == BUILDING && what == attempt_failed -> state = RETRYING
    :: state == BUILDING && what == given_up -> state = FAILED
    :: state == BUILDING && what == cancelled -> state = CANCELLED
    :: state == BUILDING && what == expired -> state = EXPIRED
    :: state == SUBMITTED && what == filled -> state = CONFIRMED
    :: state == SUBMITTED && what == attempt_failed -> state = RETRYING
    :: state == SUBMITTED && what == given_up -> state = FAILED
    :: state == SUBMITTED && what == expired -> state = EXPIRED
    :: state == RETRYING && what == attempt_started -> state = ROUTING
    :: state == RETRYING && what == given_up -> state = FAILED
    :: state == RETRYING && what == cancelled -> state = CANCELLED
    :: state == RETRYING && what == expired -> state = EXPIRED
    :: else -> assert(LAWFUL(false))
    fi
}

/* One conditional write went through: whoever had loaded the order before has an old copy now. */
inline written_by(w) {
    d_step {
        each = 0;
        do
        :: each < WORKERS -> fresh[each] = (each == w); each++
        :: else -> break
        od;
        each = 0;
        nth = 0
    }
}
#define A_CLIENT WORKERS

#ifdef UNCONDITIONAL_WRITE
#define STALE(w) false
#else
#define STALE(w) (!fresh[w])
#endif

inline let_go(w) {
    holder = 0;
    lease = 0;
    holding[w] = false
}

/* execution.py _watch_lease_ms: once a transaction is stored the lease is for a watch. Here it may run out meanwhile. */
inline watch_only(w) {
#ifdef WATCH_LEASE
    lease = 1;
    holding[w] = false
#else
    skip
#endif
}

inline forget(i) {
    d_step {
        tx[i].exists = false;
        tx[i].stored = false;
        tx[i].sent = false;
        tx[i].late = false;
        tx[i].swapped = false;
        tx[i].last_valid = 0;
        tx[i].place = 0;
#ifdef EXPIRY_IN_SLOTS
        tx[i].slots = 0
#endif
    }
}

/* A signed transaction that was never stored is thrown away. */
inline throw_away(w) {
    if
    :: mine[w] != 0 && !tx[mine[w] - 1].stored && !tx[mine[w] - 1].sent -> forget(mine[w] - 1)
    :: else
    fi;
    mine[w] = 0;
    proof[w] = 0
}

inline make_room() {
    d_step {
        nth = 0;
        do
        :: nth < TRANSACTIONS ->
            each = 0;
            do
            :: each < WORKERS && mine[each] != nth + 1 -> each++
            :: else -> break
            od;
            if
            :: tx[nth].exists && DECIDED(nth) && submission != nth + 1 && each == WORKERS ->
                tx[nth].exists = false;
                tx[nth].stored = false;
                tx[nth].sent = false;
                tx[nth].late = false;
                tx[nth].swapped = false;
                tx[nth].last_valid = 0;
                tx[nth].place = 0
            :: else
            fi;
            nth++
        :: else -> break
        od;
        each = 0;
        nth = 0
    }
}

/* The worker ends, or is killed: what it had in memory is gone. */
inline end_invocation(w) {
    throw_away(w);
    d_step {
        alive[w] = false;
        fresh[w] = false;
        former[w] = false;
        holding[w] = false;
        age[w] = 0;
        proof[w] = 0
    }
}

inline pass_a_slot() {
#ifdef EXPIRY_IN_SLOTS
    d_step {
        nth = 0;
        do
        :: nth < TRANSACTIONS -> tx[nth].slots = (tx[nth].slots > 0 -> tx[nth].slots - 1 : 0); nth++
        :: else -> break
        od;
        each = 0;
        nth = 0
    }
#else
    skip
#endif
}

/* Sign: the blockhash is that of the newest confirmed block, with which it may land for VALID_FOR blocks. */
inline sign(w) {
    make_room();
    d_step {
        nth = 0;
        do
        :: nth < TRANSACTIONS && tx[nth].exists -> nth++
        :: else -> break
        od;
        assert(nth < TRANSACTIONS);
        tx[nth].exists = true;
        tx[nth].late = PAST_DEADLINE(w);
        tx[nth].last_valid = FINAL + confirmed_above + VALID_FOR;
#ifdef EXPIRY_IN_SLOTS
        tx[nth].slots = VALID_FOR;
#endif
        mine[w] = nth + 1;
        nth = 0
    }
}

inline send(w) {
    assert(STORED_BEFORE_SENT(mine[w] - 1));
    assert(NOTHING_SENT_AFTER_THE_END(w));
    tx[mine[w] - 1].sent = true
}

/* triggers.py returned: a limit's trigger is forgotten, with its floor; a stop's is for good. */
inline put_back() {
    happen(returned);
    if
#ifdef STOP_IS_FORGOTTEN
    :: true ->
#else
    :: trigger == LIMIT_PRICE ->
#endif
        trigger = 0;
        floor = 0;
        floor_fixed = false
    :: else
    fi
}

/* triggers.py triggered and latched: what a look found, by a conditional write of its own. */
inline set_off(which, what) {
    trigger = which;
    floor = which;
    floor_fixed = true;
    happen(what);
    written_by(A_CLIENT)
}

/* execution.py _after_failure: `gives_up` where another attempt can't help. Only where its transaction is decided. */
inline end_attempt(w, gives_up) {
    throw_away(w);
    if
    :: PAST_DEADLINE(w) -> happen(expired)
    :: else ->
        if
        :: gives_up -> happen(given_up)
#ifdef WAITS
        :: state != SUBMITTED -> put_back()
        :: state == SUBMITTED && failures + 1 < ATTEMPTS -> failures++; put_back()
        :: state == SUBMITTED && failures + 1 >= ATTEMPTS -> happen(given_up)
#else
        :: !gives_up && failures + 1 < ATTEMPTS -> failures++; happen(attempt_failed)
        :: !gives_up && failures + 1 >= ATTEMPTS -> failures++; happen(given_up)
#endif
        fi
    fi;
    failures = (ENDED -> 0 : failures);
    submission = 0;
    let_go(w);
    written_by(w);
    make_room()
}

/* order.py fix_floor and choose_route: the first quote fixes the floor, and a route that pays less is refused. */
inline quoted(pays) {
#ifdef FLOOR_FROM_EACH_QUOTE
    assert(FLOOR_KEPT(pays));
    floor = pays;
#else
    if
    :: !floor_fixed && pays > floor -> floor = pays
    :: else
    fi;
#endif
    floor_fixed = true;
    if
    :: pays < floor -> end_attempt(me, false); goto done
    :: pays >= floor && state == ROUTING -> happen(route_chosen)
    :: pays >= floor && state == BUILDING
    fi
}

/* One invocation: execution.py run, from a message's delivery to the end of what can be done with it now. */
proctype Worker(byte me) {
end_waiting:
    atomic {
        !ENDED;
        alive[me] = true;
        goto load
    }
    {
        false;
load:
        atomic {
            throw_away(me);
            if
            :: ENDED || former[me] -> goto done
            :: else
            fi;
            fresh[me] = true;
            if
#ifdef EXPIRED_WHILE_IT_MAY_LAND
            :: PAST_DEADLINE(me) -> state = EXPIRED; holder = 0; lease = 0; written_by(me); goto done
#else
            :: PAST_DEADLINE(me) && state != SUBMITTED -> goto expire
#endif
            :: else
            fi;
            if
            :: state == OPEN -> goto done  /* no worker's: its price is watched */
            :: else
            fi;
            if
            :: LEASED(me) -> goto done
            :: !LEASED(me) -> goto take
            :: !LEASED(me) && state == PENDING -> goto wait_for_its_turn
            :: !LEASED(me) && state != SUBMITTED -> goto stopped
            fi
        }
expire:
        /* whoever holds it */
        atomic {
            if
            :: STALE(me) -> goto load
            :: else
            fi;
            happen(expired);
            holder = 0;
            lease = 0;
            written_by(me);
            goto done
        }
wait_for_its_turn:
        atomic {
            if
            :: STALE(me) -> goto load
            :: else
            fi;
            happen(queued);
            written_by(me);
            goto done
        }
stopped:
        /* a kill switch, or the API key was revoked */
        atomic {
            if
            :: STALE(me) -> goto load
            :: else
            fi;
            end_attempt(me, true);
            goto done
        }
take:
        atomic {
            if
            :: STALE(me) || (state != SUBMITTED && PAST_DEADLINE(me)) -> goto load
            :: else
            fi;
            d_step {
                nth = 0;
                each = 0;
                do
                :: each < WORKERS -> nth = nth + (each != me && holding[each]); each++
                :: else -> break
                od;
                each = 0
            }
            assert(ONE_HOLDER(nth));
            nth = 0;
            holder = me + 1;
            lease = LEASE;
            holding[me] = true;
            if
            :: state == SUBMITTED -> watch_only(me)
            :: else
            fi;
            if
#ifdef TAKEOVER_BUILDS_ANEW
            :: state == SUBMITTED -> state = BUILDING; submission = 0
#else
            :: state == SUBMITTED -> mine[me] = submission; written_by(me); goto watch
#endif
            :: state == PENDING || state == RETRYING -> happen(attempt_started)
            :: state == ROUTING || state == BUILDING
            fi;
            written_by(me)
        }
plan:
        /* the market is read, and the route is stored with its floor */
        atomic {
            if
            :: goto fail
            :: goto let_it_go
            :: STALE(me) -> goto load
            :: !STALE(me) -> quoted(1)
            :: !STALE(me) -> quoted(2)
            fi;
            written_by(me)
        }
build:
        /* the nodes are asked, the transaction is simulated; what they refuse is refused before anything is signed */
        atomic {
            if
            :: goto fail
            :: goto let_it_go
            :: true
            fi;
#ifndef NO_DEADLINE_WHERE_IT_IS_SIGNED
            if
            :: PAST_DEADLINE(me) -> goto fail
            :: else
            fi;
#endif
            sign(me)
        }
store:
#ifdef SENT_BEFORE_STORED
        atomic { send(me) }
#endif
        atomic {
#ifndef NO_DEADLINE_WHERE_IT_IS_SIGNED
            if
            :: PAST_DEADLINE(me) -> goto fail
            :: else
            fi;
#endif
            if
            :: STALE(me) -> goto load
            :: else
            fi;
            assert(SIGNED_IN_TIME(mine[me] - 1));
            happen(signed);
            submission = mine[me];
            tx[mine[me] - 1].stored = true;
            tx[mine[me] - 1].late = false;
            watch_only(me);
            written_by(me)
        }
watch:
        /* settling.py and landing.py: the same bytes as often as need be, and what became of them */
        atomic {
            if
            :: goto broadcast
            :: goto search
            :: goto ask_height
            :: goto let_it_go
            fi
        }
broadcast:
        atomic {
            send(me);
            if
            :: goto watch
#ifdef REFUSED_SEND_ENDS_THE_ATTEMPT
            :: goto fail
#endif
#ifdef REBUILT_AFTER_A_REFUSED_SEND
            /* this node takes no version 1; another has it by now */
            :: !STALE(me) ->
                mine[me] = 0;
                sign(me);
                submission = mine[me];
                tx[mine[me] - 1].stored = true;
                written_by(me);
                goto watch
#endif
            fi
        }
search:
        /* by a node that sees all; what another doesn't see changes nothing here */
        atomic {
            if
            :: SWAP_IS_READ(mine[me] - 1) -> goto landed
            :: FAILURE_IS_READ(mine[me] - 1) -> goto fail
            :: else -> goto NOT_FOUND
            fi
        }
ask_height:
        /* of a node that keeps up, or of one that lags; then the history is searched, by one or the other */
        atomic {
            if
            :: tx[mine[me] - 1].last_valid < KNOWN_HEIGHT -> proof[me] = KNOWN_HEIGHT
            :: tx[mine[me] - 1].last_valid < KNOWN_HEIGHT - LAG -> proof[me] = KNOWN_HEIGHT - LAG
#ifdef EXPIRY_IN_SLOTS
            :: tx[mine[me] - 1].slots == 0 -> proof[me] = KNOWN_HEIGHT
#endif
            :: goto watch
            fi;
            goto AFTER_THE_HEIGHT
        }
search_again:
        atomic {
            if
            :: SWAP_IS_READ(mine[me] - 1) -> goto landed
            :: FAILURE_IS_READ(mine[me] - 1) -> goto fail
            :: tx[mine[me] - 1].place == 0 -> goto fail
            :: LAGGARD_MISSES(mine[me] - 1) && LAGGARD_IS_BELIEVED(me) -> goto fail
            :: FORGETFUL_MISSES(mine[me] - 1) && FORGETFUL_IS_BELIEVED -> goto fail
            :: proof[me] = 0; goto watch
            fi
        }
landed:
        atomic {
            if
            :: STALE(me) -> goto load
            :: else
            fi;
            assert(TRUE_FILL(mine[me] - 1));
            happen(filled);
            let_go(me);
            written_by(me);
            goto done
        }
fail:
        atomic {
            if
            :: STALE(me) -> goto load
            :: else
            fi;
            if
            :: true -> end_attempt(me, true)
            :: true -> end_attempt(me, false)
            fi;
            goto done
        }
let_it_go:
        /* undecided, or no node answers: another delivery goes on */
        atomic {
            if
            :: STALE(me) -> goto load
            :: else
            fi;
#ifdef PUT_BACK_WHILE_IT_MAY_LAND
            if
            :: state == SUBMITTED -> put_back(); submission = 0; mine[me] = 0
            :: else
            fi;
#endif
            let_go(me);
            written_by(me);
            goto done
        }
done:
        atomic { end_invocation(me) }
    } unless { !alive[me] };
    goto end_waiting
}

/* A block is in the chain above the finalized one, or is final, or is dropped; a transaction comes into the newest. */
#define LANDS(i) \
    :: atomic { tip > confirmed_above && MAY_LAND(i) -> \
        assert(NOTHING_LANDS_AFTER_THE_END(i)); \
        tx[i].place = FINAL + tip; \
        if \
        :: tx[i].swapped = true; swaps++; assert(ONCE) \
        :: tx[i].swapped = false \
        fi }

proctype Chain() {
end_chain:
    do
    :: atomic { tip < TIP -> tip++; pass_a_slot() }
    LANDS(0)
    LANDS(1)
#if TRANSACTIONS > 2
    LANDS(2)
#endif
#if TRANSACTIONS > 3
    LANDS(3)
#endif
#ifdef TOWER
    :: atomic { confirmed_above < tip -> confirmed_above++ }
#endif
    :: atomic { tip > 0 && FINALIZABLE ->
        d_step {
            tip--;
            confirmed_above = (confirmed_above > 0 -> confirmed_above - 1 : 0);
            nth = 0;
            do
            :: nth < TRANSACTIONS ->
                tx[nth].last_valid = (tx[nth].last_valid > 0 -> tx[nth].last_valid - 1 : 0);
                tx[nth].place = (tx[nth].place > 1 -> tx[nth].place - 1 : tx[nth].place);
                nth++
            :: else -> break
            od;
            each = 0;
            do
            :: each < WORKERS -> proof[each] = (proof[each] > 1 -> proof[each] - 1 : proof[each]); each++
            :: else -> break
            od;
            each = 0;
            nth = 0
        };
        make_room() }
    :: atomic { tip > DROPPED_DOWN_TO ->
        nth = 0;
        do
        :: nth < TRANSACTIONS ->
            if
            :: tx[nth].place == FINAL + tip ->
                assert(FILL_STAYS(nth));
                swaps = swaps - tx[nth].swapped;
                tx[nth].swapped = false;
                tx[nth].place = 0
            :: else
            fi;
            nth++
        :: else -> break
        od;
        nth = 0;
        tip--;
        confirmed_above = (confirmed_above > tip -> tip : confirmed_above) }
#ifdef EXPIRY_IN_SLOTS
    :: atomic { pass_a_slot() }  /* which no block is in */
#endif
    od
}

/* Time passes: a worker that has had its time is killed. And any worker dies at any moment. */
proctype Clock() {
end_clock:
    do
    :: atomic {
        deadline > 0 || lease > 0 || alive[0] || alive[1];
        deadline = (deadline > 0 -> deadline - 1 : 0);
        lease = (lease > 0 -> lease - 1 : 0);
        each = 0;
        do
        :: each < WORKERS && alive[each] && age[each] >= LIFE -> end_invocation(each); each++
        :: each < WORKERS && alive[each] && age[each] < LIFE -> age[each]++; each++
        :: each < WORKERS && !alive[each] -> each++
        :: else -> break
        od;
        each = 0;
        nth = 0
    }
    :: atomic { alive[0] -> end_invocation(0) }
    :: atomic { alive[1] -> end_invocation(1) }
    od
}

/* intake.py cancel: load and write in one, for the write holds only if nobody wrote since. */
proctype Client() {
end_client:
    do
    :: atomic { state == OPEN || state == PENDING || state == ROUTING || state == BUILDING || state == RETRYING ->
        happen(cancelled);
        holder = 0;
        lease = 0;
        written_by(A_CLIENT) }
#ifdef CANCEL_IGNORES_A_SIGNATURE
    :: atomic { state == SUBMITTED -> state = CANCELLED; written_by(A_CLIENT) }
#endif
    od
}

#ifdef WAITS
#ifdef CHANGES_WHAT_IS_TRIGGERED
#define MAY_BE_CHANGED (state == OPEN)
#else
#define MAY_BE_CHANGED (state == OPEN && trigger == 0)
#endif
#define UNTRIGGERED (trigger != LIMIT_PRICE && trigger != STOP_PRICE)
#define STOP_IS_FOR_GOOD(stands) (!stopped_out || trigger == stands)

/* waiting/hand_over.py: looks, by any number of watchers; and the client's changes. Load and write in one, as above. */
bool stopped_out;       /* its stop was reached once */

proctype Watchers() {
end_watchers:
    do
    :: atomic { state == OPEN && trigger == 0 && !PAST_DEADLINE_OF_ALL ->
        assert(STOP_IS_FOR_GOOD(STOP_PRICE));
        set_off(LIMIT_PRICE, triggered) }
    :: atomic { state == OPEN && trigger == 0 && !PAST_DEADLINE_OF_ALL ->
        stopped_out = true;
        set_off(STOP_PRICE, triggered) }
    :: atomic { state == OPEN && trigger == 0 -> stopped_out = true; set_off(STOP_PRICE, latched) }
    :: atomic { state == OPEN && trigger == STOP_PRICE && !PAST_DEADLINE_OF_ALL -> set_off(STOP_PRICE, triggered) }
    :: atomic { MAY_BE_CHANGED -> assert(UNTRIGGERED); happen(changed); written_by(A_CLIENT) }
    :: atomic { state == OPEN && PAST_DEADLINE_OF_ALL -> happen(expired); written_by(A_CLIENT) }
    od
}
#endif

/* redrive.py: a new order for the same trade, with the same floor and deadline, under a key made of the failed one's id. */
proctype Operators() {
end_operators:
    do
    :: atomic { seen_failed < REDRIVES && !redriven && MAY_BE_REDRIVEN -> seen_failed++ }
    :: atomic { seen_failed > 0 && (redriven || PAST_DEADLINE_OF_ALL) && ONE_KEY -> seen_failed-- }
    :: atomic { seen_failed > 0 && !(redriven && ONE_KEY) && !PAST_DEADLINE_OF_ALL ->
        assert(ONE_REDRIVE);
        seen_failed--;
        redriven = true;
        state = PENDING;
        failures = 0;
        floor_fixed = false;
        submission = 0;
        holder = 0;
        lease = 0;
        d_step {
            each = 0;
            do
            :: each < WORKERS -> former[each] = alive[each]; holding[each] = false; fresh[each] = false; each++
            :: else -> break
            od;
            each = 0;
            nth = 0
        } }
    od
}

init {
    atomic {
        each = 0;
        do
        :: each < WORKERS -> run Worker(each); each++
        :: else -> break
        od;
        each = 0;
        run Chain();
        run Clock();
        run Client();
#ifdef WAITS
        run Watchers();
#endif
#if REDRIVES > 0
        run Operators();
#endif
    }
}
