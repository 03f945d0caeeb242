// Binds the endpoints of devices, links and key packages to their rules.

import {
  completeLink,
  finishLink,
  getDeviceList,
  joinLink,
  openLink,
  readLink,
  updateDeviceList,
  uploadKeyPackages,
} from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { type DeviceListPorts, readDeviceList, replaceDeviceList } from './device-list-rules.ts';
import { beginLink, fetchLinked, handCertificate, offerLeafKey, showJoined } from './link-rules.ts';
import { storeKeyPackages } from './store-key-packages.ts';

export const devicesRoutes = (ports: DeviceListPorts): readonly Route[] => [
  route(getDeviceList, readDeviceList(ports)),
  route(updateDeviceList, replaceDeviceList(ports)),
  route(openLink, beginLink(ports)),
  route(joinLink, offerLeafKey(ports)),
  route(readLink, showJoined(ports)),
  route(completeLink, handCertificate(ports)),
  route(finishLink, fetchLinked(ports)),
  route(uploadKeyPackages, storeKeyPackages(ports)),
];
