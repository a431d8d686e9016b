// What users of @solana/kit do, against the node at argv[2]; the package is looked up from the folder argv[3].
// Prints "ok" at the end; anything else is a failure.
const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

const kit = createRequire(`${process.argv[3]}/package.json`)("@solana/kit");
const SYSTEM_PROGRAM = kit.address("11111111111111111111111111111111");
const CLOCK = kit.address("SysvarC1ock11111111111111111111111111111111");
const USDC = kit.address("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v");
const MEMO_PROGRAM = kit.address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const ALL = { maxSupportedTransactionVersion: 1 };

const url = process.argv[2];
const rpc = kit.createSolanaRpc(url);
const wsUrl = url.replace("http", "ws").replace(/\d+$/, (port) => Number(port) + 1);
const rpcSubscriptions = kit.createSolanaRpcSubscriptions_UNSTABLE(wsUrl);
const sendAndConfirm = kit.sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions });

function transfer(from, to, lamports) {
  const data = new Uint8Array(12);
  new DataView(data.buffer).setUint32(0, 2, true);
  new DataView(data.buffer).setBigUint64(4, lamports, true);
  const accounts = [
    { address: from.address, role: kit.AccountRole.WRITABLE_SIGNER, signer: from },
    { address: to, role: kit.AccountRole.WRITABLE },
  ];
  return { programAddress: SYSTEM_PROGRAM, accounts, data };
}

const memo = (length) => ({ programAddress: MEMO_PROGRAM, accounts: [], data: new Uint8Array(length).fill(120) });

async function signed(version, payer, instructions, config) {
  const { value: latest } = await rpc.getLatestBlockhash().send();
  const message = kit.pipe(
    kit.createTransactionMessage({ version }),
    (m) => kit.setTransactionMessageFeePayerSigner(payer, m),
    (m) => kit.setTransactionMessageLifetimeUsingBlockhash(latest, m),
    (m) => (config ? kit.setTransactionMessageConfig(config, m) : m),
    (m) => kit.appendTransactionMessageInstructions(instructions, m),
  );
  return kit.signTransactionMessageWithSigners(message);
}

async function airdrop() {
  const alice = await kit.generateKeyPairSigner();
  const give = kit.airdropFactory({ rpc, rpcSubscriptions });
  await give({ commitment: "confirmed", lamports: kit.lamports(5_000_000_000n), recipientAddress: alice.address });
  return alice;
}

/** Version 1: more than a packet, its budget and fee in its config, found again by who asks for it. */
async function version1(alice, bob) {
  const config = {
    computeUnitLimit: 200_000,
    loadedAccountsDataSizeLimit: 64 * 1024 * 1024,
    priorityFeeLamports: 777n,
  };
  const transaction = await signed(1, alice, [transfer(alice, bob, 10_000_000n), memo(2_000)], config);
  const wire = kit.getBase64EncodedWireTransaction(transaction);
  assert.ok(Buffer.from(wire, "base64").length > 2_000);
  const simulated = await rpc.simulateTransaction(wire, { encoding: "base64" }).send();
  assert.equal(simulated.value.err, null);
  assert.ok(simulated.value.loadedAccountsDataSize > 0);
  await sendAndConfirm(transaction, { commitment: "finalized" });
  const signature = kit.getSignatureFromTransaction(transaction);
  const found = await rpc.getTransaction(signature, { ...ALL, encoding: "json" }).send();
  assert.equal(found.version, 1);
  assert.equal(found.meta.fee, 5_777n);
  assert.equal(found.transaction.message.transactionConfig.computeUnitLimit, 200_000);
  const [bytes] = (await rpc.getTransaction(signature, { ...ALL, encoding: "base64" }).send()).transaction;
  assert.equal(bytes, wire);
  const decoded = kit.getTransactionDecoder().decode(Buffer.from(bytes, "base64"));
  assert.equal(kit.getCompiledTransactionMessageDecoder().decode(decoded.messageBytes).version, 1);
  const block = await rpc.getBlock(found.slot, { ...ALL, transactionDetails: "signatures" }).send();
  assert.ok(block.signatures.includes(signature));
  await assert.rejects(
    rpc.getTransaction(signature, { maxSupportedTransactionVersion: 0, encoding: "json" }).send(),
    (error) => kit.isSolanaError(error, kit.SOLANA_ERROR__JSON_RPC__SERVER_ERROR_UNSUPPORTED_TRANSACTION_VERSION),
  );
}

/** A config without limits has nothing to spend; an older version needs none. */
async function limits(alice, bob) {
  const config = { priorityFeeLamports: 1n };
  await assert.rejects(sendAndConfirm(await signed(1, alice, [transfer(alice, bob, 1n)], config), { commitment: "confirmed" }));
  await sendAndConfirm(await signed(0, alice, [transfer(alice, bob, 1_000_000n)]), { commitment: "confirmed" });
  await sendAndConfirm(await signed("legacy", alice, [transfer(alice, bob, 1_000_001n)]), { commitment: "confirmed" });
}

/** The first message of each subscription. */
async function subscriptions(alice, bob) {
  const abort = new AbortController();
  const first = async (request, cause) => {
    const messages = (await request.subscribe({ abortSignal: abort.signal }))[Symbol.asyncIterator]();
    // Kit drops what comes before somebody waits for it.
    const [message] = await Promise.all([messages.next(), cause?.()]);
    return message.value;
  };
  const pay = async () => void (await sendAndConfirm(await signed(0, alice, [transfer(alice, bob, 7n)]), { commitment: "confirmed" }));
  const account = await first(rpcSubscriptions.accountNotifications(bob, { encoding: "base64" }), pay);
  assert.ok(account.value.lamports > 0n);
  const program = await first(rpcSubscriptions.programNotifications(SYSTEM_PROGRAM, { encoding: "base64" }), pay);
  assert.equal(program.value.account.owner, SYSTEM_PROGRAM);
  const logs = await first(rpcSubscriptions.logsNotifications({ mentions: [bob] }), pay);
  assert.equal(logs.value.err, null);
  const block = await first(rpcSubscriptions.blockNotifications({ mentionsAccountOrProgram: bob }, ALL), pay);
  assert.equal(block.value.err, null);
  const [slot, root, update] = await Promise.all([
    first(rpcSubscriptions.slotNotifications()),
    first(rpcSubscriptions.rootNotifications()),
    first(rpcSubscriptions.slotsUpdatesNotifications()),
  ]);
  assert.equal(slot.parent, slot.slot - 1n);
  assert.ok(root <= slot.slot + 10n);
  assert.ok(update.slot > 0n);
  abort.abort();
}

async function cluster() {
  const certificate = await rpc.getAgGenesisCert().send();
  assert.equal(certificate.signature.signature.length, 192);
  const clock = await kit.fetchJsonParsedAccount(rpc, CLOCK);
  assert.ok(clock.data.slot > 0n);
  const compressed = await rpc.getAccountInfo(USDC, { encoding: "base64+zstd" }).send();
  assert.equal(compressed.value.data[1], "base64+zstd");
  const { identity } = await rpc.getIdentity().send();
  assert.equal(await rpc.getSlotLeader().send(), identity);
  const [node] = await rpc.getClusterNodes().send();
  assert.equal(node.pubkey, identity);
  const { value: supply } = await rpc.getSupply({ excludeNonCirculatingAccountsList: true }).send();
  assert.ok(supply.total > 0n);
  const { value: largest } = await rpc.getTokenLargestAccounts(USDC).send();
  assert.ok(BigInt(largest[0].amount) >= BigInt(largest[1].amount));
  assert.deepEqual((await rpc.getVoteAccounts().send()).current, []);
  assert.equal((await rpc.getInflationRate().send()).total, 0);
}

async function main() {
  const alice = await airdrop();
  const bob = (await kit.generateKeyPairSigner()).address;
  await version1(alice, bob);
  await limits(alice, bob);
  await subscriptions(alice, bob);
  await cluster();
  console.log("ok");
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
