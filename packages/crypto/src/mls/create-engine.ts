// ts-mls behind the engine interface. The provider is the only thing it holds on to.

import type { Engine } from '../engine.ts';
import type { CryptoProvider } from '../provider.ts';
import { adoptCommit } from './adopt-commit.ts';
import { commitChanges } from './commit-changes.ts';
import { foundGroup } from './found-group.ts';
import { joinByExternalCommit } from './join-by-external-commit.ts';
import { joinByWelcome, keyPackagesOfWelcome } from './join-by-welcome.ts';
import { newKeyPackage } from './new-key-package.ts';
import { open } from './open.ts';
import { seal } from './seal.ts';
import { decodeSession, encodeSession, sessionInfo } from './session.ts';

export const createEngine = (provider: CryptoProvider): Engine => ({
  newKeyPackage: newKeyPackage(provider),
  keyPackagesOfWelcome,
  foundGroup: foundGroup(provider),
  joinByWelcome: joinByWelcome(provider),
  joinByExternalCommit: joinByExternalCommit(provider),
  commitChanges: commitChanges(provider),
  adoptCommit: adoptCommit(provider),
  seal: seal(provider),
  open: open(provider),
  encodeSession,
  decodeSession,
  sessionInfo,
});
