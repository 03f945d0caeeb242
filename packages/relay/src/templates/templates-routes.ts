// Binds the endpoints of templates to their rules.

import {
  decideTemplate,
  getTemplate,
  listPendingTemplates,
  listTemplates,
  submitTemplate,
} from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { type DecidePorts, decide, showPending } from './decide-template.ts';
import { readOne, readPage } from './read-templates.ts';
import { takeTemplate } from './submit-template.ts';

export const templatesRoutes = (ports: DecidePorts): readonly Route[] => [
  route(submitTemplate, takeTemplate(ports)),
  route(getTemplate, readOne(ports)),
  route(listTemplates, readPage(ports)),
  route(listPendingTemplates, showPending(ports)),
  route(decideTemplate, decide(ports)),
];
