// What users of @solana/web3.js do, against the node at argv[2]; the package is looked up from the folder argv[3].
// Prints "ok" at the end; anything else is a failure.
const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

const web3 = createRequire(`${process.argv[3]}/package.json`)("@solana/web3.js");
const USDC = new web3.PublicKey("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v");
const SYSTEM_PROGRAM = web3.SystemProgram.programId;
const LEGACY_AND_V0 = { maxSupportedTransactionVersion: 0 };

const transfer = (from, to, lamports) =>
  web3.SystemProgram.transfer({ fromPubkey: from.publicKey, toPubkey: to, lamports });

async function airdropAndTransfer(connection, alice, bob) {
  const airdrop = await connection.requestAirdrop(alice.publicKey, 5e9);
  // Waits on a WebSocket subscription.
  const latest = await connection.getLatestBlockhash();
  const { value } = await connection.confirmTransaction({ signature: airdrop, ...latest }, "confirmed");
  assert.equal(value.err, null);
  const payment = new web3.Transaction().add(transfer(alice, bob, 1e9));
  const signature = await web3.sendAndConfirmTransaction(connection, payment, [alice]);
  assert.equal(await connection.getBalance(bob), 1e9);
  const found = await connection.getTransaction(signature, LEGACY_AND_V0);
  assert.equal(found.meta.fee, 5000);
  const parsed = await connection.getParsedTransaction(signature, LEGACY_AND_V0);
  assert.equal(parsed.transaction.message.accountKeys[0].pubkey.toBase58(), alice.publicKey.toBase58());
  const listed = await connection.getSignaturesForAddress(bob, {}, "confirmed");
  assert.equal(listed[0].signature, signature);
  const statuses = await connection.getSignatureStatuses([signature], { searchTransactionHistory: true });
  assert.equal(statuses.value[0].err, null);
}

async function lookupTable(connection, alice, bob) {
  const [creation, address] = web3.AddressLookupTableProgram.createLookupTable({
    authority: alice.publicKey,
    payer: alice.publicKey,
    recentSlot: await connection.getSlot("finalized"),
  });
  const extension = web3.AddressLookupTableProgram.extendLookupTable({
    payer: alice.publicKey,
    authority: alice.publicKey,
    lookupTable: address,
    addresses: [bob, USDC],
  });
  await web3.sendAndConfirmTransaction(connection, new web3.Transaction().add(creation, extension), [alice]);
  const extendedAt = await connection.getSlot("processed");
  while ((await connection.getSlot("confirmed")) <= extendedAt); // what a table gained counts from the next slot on
  const table = (await connection.getAddressLookupTable(address)).value;
  const latest = await connection.getLatestBlockhash();
  const message = new web3.TransactionMessage({
    payerKey: alice.publicKey,
    recentBlockhash: latest.blockhash,
    instructions: [transfer(alice, bob, 7)],
  }).compileToV0Message([table]);
  const transaction = new web3.VersionedTransaction(message);
  transaction.sign([alice]);
  assert.equal((await connection.simulateTransaction(transaction)).value.err, null);
  assert.equal((await connection.getFeeForMessage(message)).value, 5000);
  const signature = await connection.sendTransaction(transaction);
  await connection.confirmTransaction({ signature, ...latest }, "confirmed");
  const found = await connection.getTransaction(signature, LEGACY_AND_V0);
  assert.equal(found.meta.loadedAddresses.writable[0].toBase58(), bob.toBase58());
  await assert.rejects(connection.getTransaction(signature), /maxSupportedTransactionVersion/);
}

/** What each subscription tells of payments. The client subscribes in its own time: it is paid until it was told. */
async function subscriptions(connection, alice, bob) {
  const told = (subscribe) => new Promise(subscribe);
  const messages = Promise.all([
    told((resolve) => connection.onAccountChange(bob, resolve)),
    told((resolve) => connection.onProgramAccountChange(SYSTEM_PROGRAM, resolve)),
    told((resolve) => connection.onLogs(bob, resolve)),
    told((resolve) => connection.onRootChange(resolve)),
    told((resolve) => connection.onSlotUpdate(resolve)),
    told((resolve) => connection.onSlotChange(resolve)),
  ]);
  const balance = await connection.getBalance(bob);
  const signatures = [];
  let isTold = false;
  messages.then(() => (isTold = true));
  while (!isTold) {
    const payment = new web3.Transaction().add(transfer(alice, bob, 11 + signatures.length));
    signatures.push(await web3.sendAndConfirmTransaction(connection, payment, [alice]));
  }
  const [account, ofProgram, logs, root, update, slot] = await messages;
  assert.ok(account.lamports > balance);
  assert.equal(ofProgram.accountInfo.owner.toBase58(), SYSTEM_PROGRAM.toBase58());
  assert.ok(signatures.includes(logs.signature));
  assert.ok(root > 0 && update.slot > 0);
  assert.equal(slot.parent, slot.slot - 1);
}

async function cluster(connection) {
  const block = await connection.getBlock(await connection.getSlot(), LEGACY_AND_V0);
  assert.equal(block.parentSlot + 1, (await connection.getBlocks(block.parentSlot + 1))[0]);
  assert.ok((await connection.getSupply()).value.total > 0);
  assert.ok((await connection.getTokenLargestAccounts(USDC)).value[0].uiAmount > 0);
  const [node] = await connection.getClusterNodes();
  assert.equal(await connection.getSlotLeader(), node.pubkey);
  assert.deepEqual((await connection.getVoteAccounts()).current, []);
  assert.equal((await connection.getInflationRate()).total, 0);
  await connection.getRecentPerformanceSamples(2);
}

async function main() {
  const connection = new web3.Connection(process.argv[2], "confirmed");
  const alice = web3.Keypair.generate();
  const bob = web3.Keypair.generate().publicKey;
  await airdropAndTransfer(connection, alice, bob);
  await lookupTable(connection, alice, bob);
  const tooMuch = new web3.Transaction().add(transfer(alice, bob, 1e15));
  await assert.rejects(
    web3.sendAndConfirmTransaction(connection, tooMuch, [alice]),
    (error) => error instanceof web3.SendTransactionError && error.logs.some((line) => line.includes("insufficient")),
  );
  assert.equal((await connection.getTokenSupply(USDC)).value.decimals, 6);
  const [mint] = (await connection.getMultipleParsedAccounts([USDC])).value;
  assert.equal(mint.data.parsed.type, "mint");
  assert.equal((await connection.getRecentPrioritizationFees()).length, 150);
  await subscriptions(connection, alice, bob);
  await cluster(connection);
  console.log("ok");
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
