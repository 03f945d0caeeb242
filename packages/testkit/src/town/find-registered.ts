// A first start that was cut off between the relay's answer and our note of it leaves a firm
// registered that the home does
// not know. The town runs the relay's database, so it looks the firm up there, by number and name,
// instead of beginning anew.
import { connectDatabase } from '@siegel/database';

export type FoundFirm = {
  readonly accountId: string;
  readonly wabaId: string;
  readonly phoneNumberId: string;
};

type Row = { account_id: string; waba_id: number; phone_number_id: number };

/** Undefined when the number belongs to a person, or to a firm of another name. */
export async function findRegistered(
  relayDatabaseUrl: string,
  firm: { readonly number: string; readonly legalName: string },
): Promise<FoundFirm | undefined> {
  const database = connectDatabase(relayDatabaseUrl, {
    poolMax: 1,
    applicationName: 'siegel-town',
  });
  try {
    const { rows } = await database.query<Row>(
      `SELECT b.account_id, b.waba_id, n.phone_number_id
       FROM numbers n JOIN businesses b ON b.account_id = n.account_id
       WHERE n.number = $1 AND b.legal_name = $2`,
      [firm.number, firm.legalName],
    );
    const row = rows[0];
    if (row === undefined) return undefined;
    return {
      accountId: row.account_id,
      wabaId: String(row.waba_id),
      phoneNumberId: String(row.phone_number_id),
    };
  } finally {
    await database.close();
  }
}
