// Accounts as they come in a request, and as the SDKs want them.

import { PublicKey } from "@solana/web3.js";

/** A `Map` from address to web3.js `AccountInfo`. Null marks an account that does not exist. */
export function decodeAccounts(accounts) {
  return new Map(
    Object.entries(accounts).map(([address, account]) => [
      address,
      account && {
        owner: new PublicKey(account.owner),
        lamports: account.lamports,
        executable: false,
        data: Buffer.from(account.data, "base64"),
      },
    ]),
  );
}

/** The account's content. Throws where the request lacks it. */
export function required(accounts, address) {
  const account = accounts.get(address.toString());
  if (!account) throw new Error(`account ${address} is not in the request`);
  return account;
}

/** What the SDK needs of a web3.js `Connection`, answered from `accounts` alone. */
export class OfflineConnection {
  constructor(accounts) {
    this.accounts = accounts;
  }

  async getMultipleAccountsInfo(addresses) {
    return addresses.map((address) => this.accounts.get(address.toString()) ?? null);
  }
}
