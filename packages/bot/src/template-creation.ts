// The shape in which the Cloud API takes a new template (`POST /{waba}/message_templates`), as far
// as the demo firms use it.

export type TemplateCreation = {
  readonly name: string;
  readonly language: string;
  readonly category: 'MARKETING' | 'UTILITY' | 'AUTHENTICATION';
  readonly parameter_format?: 'POSITIONAL' | 'NAMED';
  readonly components: readonly TemplateComponentCreation[];
};

export type TemplateComponentCreation =
  | { readonly type: 'HEADER'; readonly format: 'TEXT'; readonly text: string }
  | {
      readonly type: 'BODY';
      readonly text: string;
      readonly example?:
        | { readonly body_text: readonly (readonly string[])[] }
        | {
            readonly body_text_named_params: readonly {
              readonly param_name: string;
              readonly example: string;
            }[];
          };
    }
  /** The text of an authentication template is given; only this is chosen. */
  | { readonly type: 'BODY'; readonly add_security_recommendation: boolean }
  | { readonly type: 'FOOTER'; readonly text: string }
  | { readonly type: 'FOOTER'; readonly code_expiration_minutes: number }
  | { readonly type: 'BUTTONS'; readonly buttons: readonly TemplateButtonCreation[] };

export type TemplateButtonCreation =
  | { readonly type: 'QUICK_REPLY'; readonly text: string }
  | {
      readonly type: 'URL';
      readonly text: string;
      readonly url: string;
      readonly example?: readonly string[];
    }
  | { readonly type: 'PHONE_NUMBER'; readonly text: string; readonly phone_number: string }
  | { readonly type: 'OTP'; readonly otp_type: 'COPY_CODE'; readonly text?: string };
