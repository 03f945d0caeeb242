// Binds the JSON endpoint of blobs to its rule; their raw octets are bound in `http/blob-octets.ts`.

import { createBlob } from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { type BlobPorts, reserveBlob } from './blob-rules.ts';

export const blobsRoutes = (ports: BlobPorts): readonly Route[] => [
  route(createBlob, reserveBlob(ports)),
];
