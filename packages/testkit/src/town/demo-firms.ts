// The firms of the town, each with its templates and its bot.
import type { DemoFirm, TemplateCreation } from '@siegel/bot';
import * as bank from '@siegel/bot-bank-am-markt';
import * as shop from '@siegel/bot-kaufhaus-linden';
import * as airline from '@siegel/bot-nordwind-air';
import * as parcels from '@siegel/bot-postwagen';

export type TownFirm = {
  readonly firm: DemoFirm;
  readonly templates: readonly TemplateCreation[];
};

/** In the order of town.json: the airline comes first. */
export const demoFirms: readonly TownFirm[] = [airline, parcels, shop, bank];
