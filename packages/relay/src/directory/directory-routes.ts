// Binds the endpoints of the directory to their rules.

import { getBusinessCertificate, getOperator, lookUpNumber } from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { type DirectoryPorts, lookUp, readCertificate, showOperator } from './directory-rules.ts';

export const directoryRoutes = (ports: DirectoryPorts): readonly Route[] => [
  route(lookUpNumber, lookUp(ports)),
  route(getBusinessCertificate, readCertificate(ports)),
  route(getOperator, showOperator(ports)),
];
