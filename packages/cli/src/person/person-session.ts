// One sitting of a person at the terminal: shows what arrives, and does what is typed.
import type {
  Account,
  Contact,
  Conversation,
  ConversationNotice,
  ReceivedMessage,
  StatusUpdate,
  Target,
} from '@siegel/client';
import { type AccountId, type NumericId, PhoneNumber } from '@siegel/protocol/ids';
import type { BusinessCertificate } from '@siegel/protocol/relay';
import { choiceBody, offersOf } from '@siegel/testkit';
import type { Language } from '../language.ts';
import { describeContact, nameOf } from './describe-contact.ts';
import { type PersonTexts, personTexts } from './person-texts.ts';
import { renderMessage } from './render-message.ts';

export type SessionPorts = {
  readonly out: (line: string) => void;
  readonly language: Language;
  readonly now: () => number;
  /** of a firm's number, checked on this device */
  readonly certificate: (
    contact: Contact,
    phoneNumberId: NumericId,
  ) => Promise<BusinessCertificate | undefined>;
};

const waitSecondsDefault = 10;
const waitSecondsMax = 600;

export class PersonSession {
  readonly #ports: SessionPorts;
  readonly #texts: PersonTexts;
  #account: Account<undefined> | undefined;
  #open: Target | undefined;
  /** the last message with something to tap */
  #offering: ReceivedMessage | undefined;
  /** conversations whose firm was introduced already */
  readonly #introduced = new Set<string>();
  #started: () => void = () => {};
  /** messages shown one after the other, in the order of their coming, once the account is open */
  #showing: Promise<void> = new Promise((resolve) => {
    this.#started = resolve;
  });
  #came = 0;
  #waiters: (() => void)[] = [];

  constructor(ports: SessionPorts) {
    this.#ports = ports;
    this.#texts = personTexts[ports.language];
  }

  begin(account: Account<undefined>): void {
    this.#account = account;
    this.#started();
  }

  take(message: ReceivedMessage): void {
    this.#showing = this.#showing.then(() => this.#show(message)).catch(() => {});
  }

  takeStatus({ status, failure }: StatusUpdate): void {
    if (status !== 'failed') return;
    this.#ports.out(this.#texts.failed[failure ?? 'other'] ?? this.#texts.failed.other);
  }

  takeNotice({ notice }: ConversationNotice): void {
    const words = this.#texts.notices[notice];
    if (words !== undefined) this.#ports.out(words);
  }

  async #show(message: ReceivedMessage): Promise<void> {
    const account = this.#account;
    if (account === undefined || message.own) return;
    const contact = await this.#contact(message.sender.accountId, message.phoneNumberId);
    const sender = nameOf(contact, this.#texts);
    const locale = this.#ports.language;
    const { lines, offers } = renderMessage(message, { sender, texts: this.#texts, locale });
    if (lines.length === 0) return;
    this.#ports.out('');
    for (const line of lines) this.#ports.out(line);
    if (!this.#introduced.has(message.conversationId)) {
      this.#introduced.add(message.conversationId);
      const words = describeContact(contact, this.#texts, this.#ports.now());
      for (const line of words) this.#ports.out(`  · ${line}`);
    }
    this.#open = { conversationId: message.conversationId };
    if (offers > 0) this.#offering = message;
    await account.markRead(message.conversationId, message.messageId);
    this.#came += 1;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** With the certificate of the number, which a firm that wrote first did not have to show. */
  async #contact(
    accountId: AccountId,
    phoneNumberId: NumericId | undefined,
  ): Promise<Contact | undefined> {
    const contact = await this.#account?.contact(accountId);
    if (contact?.kind !== 'business' || phoneNumberId === undefined) return contact;
    const certificate = await this.#ports
      .certificate(contact, phoneNumberId)
      .catch(() => undefined);
    return certificate === undefined ? contact : { ...contact, certificate };
  }

  /** Answers whether to go on. */
  async type(line: string): Promise<boolean> {
    const text = line.trim();
    if (text === '') return true;
    if (text === '/quit' || text === '/exit') return false;
    if (text.startsWith('/')) await this.#command(text);
    else if (/^\d{1,2}$/.test(text) && this.#offering !== undefined) await this.#tap(Number(text));
    else await this.#say(text);
    return true;
  }

  async #command(text: string): Promise<void> {
    const [command = '', argument = ''] = text.split(/\s+/);
    switch (command) {
      case '/help':
        for (const line of this.#texts.commands) this.#ports.out(line);
        return;
      case '/chats':
        return this.#listChats();
      case '/chat':
        return this.#openChat(Number(argument));
      case '/to':
        return this.#openNumber(argument);
      case '/block':
      case '/unblock':
        return this.#block(command === '/block');
      case '/wait':
        return this.#wait(Number(argument) || waitSecondsDefault);
      default:
        this.#ports.out(this.#texts.unknownCommand(command));
    }
  }

  async #chats(): Promise<readonly Conversation[]> {
    const chats = (await this.#account?.conversations()) ?? [];
    return chats
      .filter(({ kind }) => kind !== 'own')
      .toSorted((a, b) => (b.lastMessageAt ?? 0) - (a.lastMessageAt ?? 0));
  }

  async #otherSide(conversation: Conversation) {
    const account = this.#account!;
    const other = conversation.members.find(({ accountId }) => accountId !== account.accountId);
    return other === undefined
      ? undefined
      : this.#contact(other.accountId, conversation.phoneNumberId);
  }

  async #listChats(): Promise<void> {
    const chats = await this.#chats();
    if (chats.length === 0) this.#ports.out(this.#texts.noChats);
    for (const [index, chat] of chats.entries()) {
      const name = nameOf(await this.#otherSide(chat), this.#texts);
      const unread = chat.unread > 0 ? ` (${chat.unread})` : '';
      this.#ports.out(`  ${index + 1}  ${name}${unread}`);
    }
  }

  async #openChat(index: number): Promise<void> {
    const chat = (await this.#chats())[index - 1];
    if (chat === undefined) return this.#listChats();
    this.#open = { conversationId: chat.conversationId };
    const contact = await this.#otherSide(chat);
    this.#ports.out(nameOf(contact, this.#texts));
    for (const line of describeContact(contact, this.#texts, this.#ports.now())) {
      this.#ports.out(`  · ${line}`);
    }
  }

  async #openNumber(typed: string): Promise<void> {
    const number = PhoneNumber.safeParse(typed.replaceAll(/[ ()/-]/g, ''));
    if (!number.success) {
      this.#ports.out(this.#texts.numberInvalid);
      return;
    }
    const found = await this.#account!.lookUp(number.data);
    if (found.outcome !== 'business' && found.outcome !== 'person') {
      this.#ports.out(this.#texts.nobodyThere);
      return;
    }
    this.#open =
      found.outcome === 'business' && found.phoneNumberId !== undefined
        ? { business: found.phoneNumberId }
        : { direct: found.contact.accountId };
    this.#ports.out(nameOf(found.contact, this.#texts));
    for (const line of describeContact(found.contact, this.#texts, this.#ports.now())) {
      this.#ports.out(`  · ${line}`);
    }
  }

  async #say(text: string): Promise<void> {
    if (this.#open === undefined) {
      this.#ports.out(this.#texts.noChat);
      return;
    }
    await this.#account!.send({ to: this.#open, body: { type: 'text', text } });
  }

  async #tap(number: number): Promise<void> {
    const message = this.#offering!;
    const offers = offersOf(message);
    const offer = offers[number - 1];
    if (offer === undefined) {
      this.#ports.out(this.#texts.noSuchButton(offers.length));
      return;
    }
    await this.#account!.send({
      to: { conversationId: message.conversationId },
      body: choiceBody(offer),
      inReplyTo: message.messageId,
    });
  }

  async #block(blocks: boolean): Promise<void> {
    const open = this.#open;
    const chats = await this.#chats();
    const chat = chats.find(
      (one) =>
        open !== undefined &&
        (('conversationId' in open && one.conversationId === open.conversationId) ||
          ('business' in open && one.phoneNumberId === open.business)),
    );
    const other = chat === undefined ? undefined : await this.#otherSide(chat);
    if (other === undefined) {
      this.#ports.out(this.#texts.noChat);
      return;
    }
    const name = nameOf(other, this.#texts);
    if (blocks) await this.#account!.block(other.accountId);
    else await this.#account!.unblock(other.accountId);
    this.#ports.out(blocks ? this.#texts.blocked(name) : this.#texts.unblocked(name));
  }

  /** For scripts: goes on when a message was shown since the last wait. */
  async #wait(seconds: number): Promise<void> {
    if (this.#came === 0) {
      const ms = Math.min(seconds, waitSecondsMax) * 1000;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
        timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
    }
    if (this.#came === 0) this.#ports.out(this.#texts.nothingCame);
    else this.#came -= 1;
  }

  /** Everything said has left, everything that came is shown. */
  async settle(): Promise<void> {
    await this.#account?.settled();
    await this.#showing;
  }
}
