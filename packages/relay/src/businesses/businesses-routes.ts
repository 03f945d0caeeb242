// Binds the endpoints of enrolment and of businesses to their rules.

import {
  completeEnrolment,
  getBusiness,
  issueEnrolmentCode,
  openEnrolment,
  registerBusiness,
} from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { type EnrolmentPorts, redeemEnrolment, showEnrolment } from './enrolment-rules.ts';
import { readOwnBusiness } from './read-business.ts';
import { enterBusiness, renewEnrolmentCode } from './register-business.ts';

export const businessesRoutes = (ports: EnrolmentPorts): readonly Route[] => [
  route(openEnrolment, showEnrolment(ports)),
  route(completeEnrolment, redeemEnrolment(ports)),
  route(getBusiness, readOwnBusiness(ports)),
  route(registerBusiness, enterBusiness(ports)),
  route(issueEnrolmentCode, renewEnrolmentCode(ports)),
];
