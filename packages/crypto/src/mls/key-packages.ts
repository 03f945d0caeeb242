// Key packages of others, as Add proposals; each is inspected with our own clock first.

import type { ProposalAdd } from 'ts-mls';
import type { KeyPackageRefusal } from '../engine.ts';
import { inspectKeyPackage, parseKeyPackage } from '../key-package.ts';

/** The proposals, or why one of the key packages may not be used. */
export async function addProposals(
  keyPackages: readonly Uint8Array[],
  now: number,
): Promise<readonly ProposalAdd[] | KeyPackageRefusal> {
  const proposals: ProposalAdd[] = [];
  for (const bytes of keyPackages) {
    const inspection = await inspectKeyPackage(bytes, { now });
    if (inspection.outcome === 'expired') return 'key-package-expired';
    const keyPackage = parseKeyPackage(bytes);
    if (inspection.outcome !== 'valid' || keyPackage === undefined) return 'key-package-invalid';
    proposals.push({ proposalType: 'add', add: { keyPackage } });
  }
  return proposals;
}
