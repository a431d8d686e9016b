// Swaps by the venues' own SDKs, and Anchor's view of a program, against the node at argv[2]; the packages are looked up
// from the folder argv[3]. Prints "ok" at the end; anything else is a failure.
const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

const load = createRequire(`${process.argv[3]}/package.json`);
const anchor = load("@coral-xyz/anchor");
const DLMM = load("@meteora-ag/dlmm");
const raydium = load("@raydium-io/raydium-sdk-v2");
const token = load("@solana/spl-token");
const web3 = load("@solana/web3.js");
const BN = load("bn.js");

const USDC = new web3.PublicKey("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v");
const USDT = new web3.PublicKey("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB");
const CPMM = new web3.PublicKey("CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C");
const AMOUNT = new BN(1_000_000_000);
const connection = new web3.Connection(process.argv[2], "confirmed");

async function localnet(method, params) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: [params] });
  const response = await fetch(process.argv[2], { method: "POST", headers: { "content-type": "application/json" }, body });
  const { result, error } = await response.json();
  assert.equal(error, undefined);
  return result;
}

async function trader() {
  const owner = web3.Keypair.generate();
  await localnet("localnet_fund", { address: owner.publicKey.toBase58(), amount: 10_000_000_000 });
  await localnet("localnet_fund", { address: owner.publicKey.toBase58(), mint: USDC.toBase58(), amount: 100 * AMOUNT });
  await localnet("localnet_advanceSlots", { slots: 2 });
  return owner;
}

async function held(owner, mint) {
  const { value } = await connection.getTokenAccountsByOwner(owner, { mint });
  return value.reduce((sum, one) => sum + token.AccountLayout.decode(one.account.data).amount, 0n);
}

/** The pool of two mints, found as explorers find it. */
async function cpmmPool(first, second) {
  const [mintA, mintB] = [first, second].sort((one, other) => Buffer.compare(one.toBuffer(), other.toBuffer()));
  const filters = [
    { dataSize: 637 },
    { memcmp: { offset: 168, bytes: mintA.toBase58() } },
    { memcmp: { offset: 200, bytes: mintB.toBase58() } },
  ];
  const [pool] = await connection.getProgramAccounts(CPMM, { filters });
  return pool.pubkey.toBase58();
}

async function swapOnRaydium(owner) {
  const sdk = await raydium.Raydium.load({ connection, owner, disableLoadToken: true, disableFeatureCheck: true });
  const { poolInfo, poolKeys, rpcData } = await sdk.cpmm.getPoolInfoFromRpc(await cpmmPool(USDC, USDT));
  const baseIn = poolInfo.mintA.address === USDC.toBase58();
  const swapResult = raydium.CurveCalculator.swapBaseInput(
    AMOUNT,
    baseIn ? rpcData.baseReserve : rpcData.quoteReserve,
    baseIn ? rpcData.quoteReserve : rpcData.baseReserve,
    rpcData.configInfo.tradeFeeRate,
    new BN(0),
    rpcData.configInfo.protocolFeeRate,
    rpcData.configInfo.fundFeeRate,
    false,
  );
  const quoted = BigInt(swapResult.outputAmount.toString());
  const before = await held(owner.publicKey, USDT);
  const { execute } = await sdk.cpmm.swap({
    poolInfo,
    poolKeys,
    inputAmount: AMOUNT,
    swapResult,
    slippage: 0.01,
    baseIn,
    txVersion: raydium.TxVersion.V0,
    computeBudgetConfig: { units: 300_000, microLamports: 1_000 },
  });
  await execute({ sendAndConfirm: true });
  assert.equal((await held(owner.publicKey, USDT)) - before, quoted);
}

async function swapOnMeteora(owner, address) {
  const pool = await DLMM.create(connection, address);
  const swapForY = pool.lbPair.tokenXMint.equals(USDC);
  const arrays = await pool.getBinArrayForSwap(swapForY);
  const quote = pool.swapQuote(AMOUNT, swapForY, new BN(100), arrays);
  const before = await held(owner.publicKey, USDT);
  const transaction = await pool.swap({
    inToken: USDC,
    outToken: USDT,
    inAmount: AMOUNT,
    minOutAmount: quote.minOutAmount,
    lbPair: pool.pubkey,
    user: owner.publicKey,
    binArraysPubkey: quote.binArraysPubkey,
  });
  await web3.sendAndConfirmTransaction(connection, transaction, [owner], { commitment: "confirmed" });
  assert.equal((await held(owner.publicKey, USDT)) - before, BigInt(quote.outAmount.toString()));
}

/** Accounts by type and filter, one followed by subscription, a transaction sent by the provider. */
async function useAnchor(owner, swap) {
  const provider = new anchor.AnchorProvider(connection, new anchor.Wallet(owner), { commitment: "confirmed" });
  const address = DLMM.LBCLMM_PROGRAM_IDS["mainnet-beta"];
  const program = new anchor.Program({ ...DLMM.IDL, address }, provider);
  const pools = await program.account.lbPair.all();
  const mints = (pool) => [pool.account.tokenXMint, pool.account.tokenYMint];
  const pool = pools.find((one) => mints(one).every((mint) => mint.equals(USDC) || mint.equals(USDT)));
  const changed = new Promise((resolve) => program.account.lbPair.subscribe(pool.publicKey, "confirmed").once("change", resolve));
  const logged = new Promise((resolve) => connection.onLogs(pool.publicKey, resolve, "confirmed"));
  let isTold = false;
  Promise.all([changed, logged]).then(() => (isTold = true));
  while (!isTold) await swap(pool.publicKey); // the client subscribes in its own time, and says nothing
  assert.ok((await changed).activeId !== undefined);
  assert.equal((await logged).err, null);
  const payment = web3.SystemProgram.transfer({
    fromPubkey: owner.publicKey,
    toPubkey: web3.Keypair.generate().publicKey,
    lamports: 10_000_000,
  });
  const signature = await provider.sendAndConfirm(new web3.Transaction().add(payment));
  const found = await connection.getTransaction(signature, { maxSupportedTransactionVersion: 0 });
  assert.equal(found.meta.err, null);
}

async function main() {
  const owner = await trader();
  await swapOnRaydium(owner);
  await useAnchor(owner, (pool) => swapOnMeteora(owner, pool));
  console.log("ok");
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
