import { createAuthenticator } from '#auth/authenticate.ts';
import { isFirstUse } from '#auth/refuse-replayed-tokens.ts';
import type { ReplayGuard } from '#auth/replay-guard.ts';
import { createCursorCodec } from '#domain/events/cursor.ts';
import type { ClaimLimit } from '#domain/key-packages/claiming/claim-limit.ts';
import { createMessageAppender } from '#domain/messages/message-appender.ts';
import type { DidDocuments } from '#identity/did-documents/did-documents.ts';
import type { Development } from '#development/open-development.ts';
import type { AuditLog } from '#ops/audit-log.ts';
import type { Readiness } from '#ops/readiness.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { limits } from '#platform/limits.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import type { Metrics } from '#platform/metrics/metrics.ts';
import { createRequestDeadlines } from '#platform/request-deadline.ts';
import type { KeyRing } from '#privacy/key-ring.ts';
import type { Privacy } from '#privacy/privacy.ts';
import { createAddressList } from '#quota/client-address/address-lists.ts';
import { createQuota } from '#quota/table/charge.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import { createClientAddress } from '#quota/client-address/client-address.ts';
import { createClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import { createClaimLimit } from '#quota/table/key-package-claim-limit.ts';
import type { ClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import { createSharedStores } from '#quota/stores/shared-stores.ts';
import { createFailedAuth } from '#quota/failed-authentication/failed-auth.ts';
import type { Database } from '#storage/connection/database.ts';
import type { Notifier } from '#storage/notifications/notifier.ts';
import { createEphemeralBus } from '#stream/ephemeral-bus.ts';
import { Hub } from '#stream/hub.ts';
import type { OpenStream } from '#stream/serve-stream.ts';
import { keepaliveIntervalMs } from '#stream/server-sent-events.ts';
import { SharedInterval } from '#stream/shared-interval.ts';
import { pingIntervalMs } from '#stream/websocket.ts';
import { createKeyPackageWatch } from '#stream/key-package-watch.ts';
import type { KeyPackageWatch } from '#stream/key-package-watch.ts';
import { createStreamSlots } from '#stream/stream-slots.ts';
import { startTail } from '#stream/tail/tail.ts';
import type { Tail } from '#stream/tail/tail.ts';
import { createTickets } from '#stream/ticket.ts';
import { createAdmission } from '#xrpc/overload/admission.ts';
import type { Admission } from '#xrpc/overload/admission.ts';
import { createByteBudget } from '#xrpc/byte-budget.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import type { Endpoint } from '#xrpc/endpoint.ts';
import { createEndpoints } from '#xrpc/mls/endpoints.ts';
import { checkOutputs } from '#xrpc/response/output-check.ts';
import { createXrpcResponder } from '#xrpc/respond-to-xrpc.ts';
import type { RequestObservation, RespondToXrpc } from '#xrpc/respond-to-xrpc.ts';
import { mountHttpPages } from './http-pages.ts';
import { blocksOf, documentsOf } from './identity-sources.ts';
import type { Served } from './routes.ts';

/** The started parts from which an app is composed. */
export interface AppParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly ring: KeyRing;
  readonly privacy: Privacy;
  readonly notifier: Notifier;
  readonly replayGuard: ReplayGuard;
  readonly readiness: Readiness;
  readonly cursorGeneration: Buffer;
  readonly audit: AuditLog;
  readonly version: string;
  readonly serviceDid: string;
  /** The URL under which clients reach the service, without a path. */
  readonly publicUrl: string;
  /** Undefined when there are no development identities, as in production. */
  readonly development: Development | undefined;
}

export interface App extends Served {
  readonly hub: Hub;
  readonly tail: Tail;
  readonly openStreams: ReadonlySet<OpenStream>;
  readonly keyPackageWatch: KeyPackageWatch;
  readonly admission: Admission;
}

const subscriptionNsid = 'blue.catbird.mls.subscribeConvoEvents';

/** Composes the domain, the streams and HTTP into one app, without opening a port. */
export function createApp(parts: AppParts): App {
  const { config, clock, logger, metrics, database, privacy, notifier } = parts;
  const failed = (part: 'tail' | 'stream') => (error: unknown) =>
    logger.log('background_failed', { part, ...describeError(error) });
  const hub = new Hub();
  const codec = createCursorCodec(privacy, parts.cursorGeneration);
  const tail = startTail({ database, privacy, clock, hub, codec, onError: failed('tail') });
  notifier.onNotify(() => tail.wake());
  const retention = retentionOf(config);
  const streamParts = { database, privacy, clock, hub, codec, ...retention, onError: failed('stream') };
  const keyPackageWatch: KeyPackageWatch = createKeyPackageWatch({
    ...streamParts,
    broadcastClaims: (dids) => bus.sendClaims(dids),
  });
  const bus = createEphemeralBus({ ...streamParts, notifier, onClaims: (dids) => keyPackageWatch.checkPeople(dids) });
  const openStreams = new Set<OpenStream>();
  const { db, sql } = database;
  const admission = admissionOf(parts);
  const documents = documentsOf(parts, admission);
  const quota = quotaOf(parts);
  const endpoints = createEndpoints({
    db,
    sql,
    privacy,
    clock,
    codec,
    blocks: blocksOf(parts, { documents, admission }),
    ...retention,
    ...budgetsOf(parts, quota),
    requireFraming: config.REQUIRE_MLS_FRAMING,
    handshakes: config.HANDSHAKES,
    onEvents: () => notifier.notify(),
    onNewDevice: (deviceId) => bus.sendNewDevice(deviceId),
    onClaims: (dids) => keyPackageWatch.noteClaims(dids),
    appender: createMessageAppender({
      sql,
      ...retention,
      onStored: (messages) => {
        tail.noteStored(messages);
        notifier.notifyOthers();
      },
      onBatch: (items) => metrics.batchStored(items),
    }),
    broadcast: (message) => bus.sendMessage(message),
    tickets: ticketsOf(parts),
    subscriptionUrl: () => `${parts.publicUrl.replace(/^http/, 'ws')}/xrpc/${subscriptionNsid}`,
    stream: {
      ...streamParts,
      tail,
      bus,
      pings: new SharedInterval(clock, pingIntervalMs),
      keepalives: new SharedInterval(clock, keepaliveIntervalMs),
      openStreams,
      slots: createStreamSlots({ clock, perAccountMax: limits.subscriptionsPerAccountMax }),
      onLive: (did) => keyPackageWatch.checkPeople([did]),
    },
  });
  const respondToXrpc = xrpcOf(parts, { documents, endpoints, admission, quota });
  return { respondToXrpc, http: mountHttpPages(parts), endpoints, hub, tail, openStreams, keyPackageWatch, admission };
}

/** Selects the settings for retention times and for limits of stored rows. */
function retentionOf(config: Config) {
  return {
    timeBucketSeconds: config.TIME_BUCKET_SECONDS,
    messageTtlDays: config.MESSAGE_TTL_DAYS,
    eventTtlDays: config.EVENT_STREAM_TTL_DAYS,
    keyPackagesPerDeviceMax: config.MAX_KEY_PACKAGES_PER_DEVICE,
    keyPackageTtlDays: config.KEY_PACKAGE_TTL_DAYS,
    deviceWaitDays: config.DEVICE_WAIT_DAYS,
    chatRequestTtlDays: config.CHAT_REQUEST_TTL_DAYS,
    idempotencyTtlHours: config.IDEMPOTENCY_TTL_HOURS,
  } as const;
}

function admissionOf({ config, metrics }: AppParts): Admission {
  const admission = createAdmission({
    inProgressMax: config.MAX_REQUESTS_IN_PROGRESS,
    onShed: (reason) => metrics.requestShed(reason),
  });
  metrics.requestsInProgress(admission.inProgress);
  return admission;
}

function ticketsOf(parts: AppParts): ReturnType<typeof createTickets> {
  return createTickets({
    key: parts.ring.current.derive('ticket'),
    serviceDid: parts.serviceDid,
    clock: parts.clock,
    uses: {
      firstUse: async (ticketId, ticket) => isFirstUse(await parts.replayGuard.firstUse('ticket', ticketId, ticket)),
    },
  });
}

function xrpcOf(
  parts: AppParts,
  used: { documents: DidDocuments; endpoints: readonly Endpoint[]; admission: Admission; quota: QuotaCharger },
): RespondToXrpc {
  const { config, clock, logger, metrics } = parts;
  const { documents, endpoints, admission, quota } = used;
  return createXrpcResponder({
    endpoints: checkOutputs(endpoints, config.NODE_ENV),
    admission,
    authenticate: createAuthenticator({
      documents,
      replayGuard: parts.replayGuard,
      clock,
      audiences: [parts.serviceDid, `${parts.serviceDid}#atproto_mls`, ...config.SERVICE_AUDIENCES],
      enforceLxm: config.ENFORCE_LXM,
      enforceJti: config.ENFORCE_JTI,
    }),
    quota,
    addressLimiter: addressLimiterOf(parts, quota),
    logger,
    clock,
    deadline: createRequestDeadlines(clock),
    observe: (observation) => {
      observe(metrics, observation);
      parts.audit.recordRefusal(observation);
    },
  });
}

function quotaOf({ config, clock, logger, metrics, database, privacy }: AppParts): QuotaCharger {
  const store = config.QUOTA_STORE ?? (config.SERVER_COUNT === 1 ? 'memory' : 'postgres');
  metrics.quotaStore(store === 'memory' ? 'memory' : 'shared');
  if (store === 'memory') return createQuota({ config, clock });
  const shared = createSharedStores({
    sql: database.sql,
    privacy,
    clock,
    serverCount: config.SERVER_COUNT,
    onChange(state) {
      metrics.quotaStore(state);
      logger.log('quota_store_changed', { state });
    },
  });
  return createQuota({ config, clock, ...shared });
}

function budgetsOf(
  { metrics, database, privacy }: AppParts,
  quota: QuotaCharger,
): { claimLimit: ClaimLimit; byteBudget: ByteBudget } {
  return {
    claimLimit: createClaimLimit({ quota, onExhausted: (name) => metrics.quotaRefused(name) }),
    byteBudget: createByteBudget({ quota, db: database.db, privacy }),
  };
}

function addressLimiterOf({ config, clock, audit }: AppParts, quota: QuotaCharger): ClientAddressLimiter {
  return createClientAddressLimiter({
    clock,
    quota,
    failedAuth: createFailedAuth({
      clock,
      namer: quota.namer,
      banAfterFailures: config.AUTH_BAN_AFTER_FAILURES,
      onBan: (ban) => audit.record('ban', ban.of),
    }),
    clientOf: createClientAddress({
      cidrs: config.TRUSTED_PROXY_CIDRS,
      hops: config.TRUSTED_PROXY_HOPS,
      header: config.TRUSTED_PROXY_HEADER,
    }),
    isAllowed: createAddressList(config.CLIENT_ALLOW_CIDRS, 'CLIENT_ALLOW_CIDRS'),
    isDenied: createAddressList(config.CLIENT_DENY_CIDRS, 'CLIENT_DENY_CIDRS'),
  });
}

function observe(metrics: Metrics, { method, status, quota, durationMs }: RequestObservation): void {
  metrics.requestFinished(method.slice(method.lastIndexOf('.') + 1), status, durationMs);
  if (quota !== undefined) metrics.quotaRefused(quota);
}
