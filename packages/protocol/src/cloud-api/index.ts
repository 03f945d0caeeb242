// The shapes WhatsApp gave its Cloud API, as far as Siegel speaks it.

export * from './errors.ts';
export * from './send.ts';
export { type InteractiveObject } from './send-interactive.ts';
export {
  BusinessScopedUserId,
  type LocationObject,
  type MediaObject,
  Wamid,
} from './send-parts.ts';
export {
  type SendTemplateObject,
  type TemplateComponentObject,
  type TemplateParameterObject,
} from './send-template.ts';
export * from './templates.ts';
export * from './webhooks.ts';
