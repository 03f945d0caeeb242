// Binds the endpoints of registration and of the own account to their rules.

import { createAccount, getAccount, requestCode, setPin, verifyCode } from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { type CreateAccountPorts, registerAccount } from './create-account.ts';
import { changePin } from './pin.ts';
import { type ReadAccountPorts, readOwnAccount } from './read-account.ts';
import { type RequestCodePorts, sendCode } from './request-code.ts';
import { proveNumber, type VerifyCodePorts } from './verify-code.ts';

export type AccountsPorts = RequestCodePorts &
  VerifyCodePorts &
  CreateAccountPorts &
  ReadAccountPorts;

export const accountsRoutes = (ports: AccountsPorts): readonly Route[] => [
  route(requestCode, sendCode(ports)),
  route(verifyCode, proveNumber(ports)),
  route(createAccount, registerAccount(ports)),
  route(setPin, changePin(ports)),
  route(getAccount, readOwnAccount(ports)),
];
