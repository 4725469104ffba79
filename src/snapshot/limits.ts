/** What a service takes of one host, and an agent therefore tells; without packages, for the agent. */

/** `[DEFAULT]host` of nova-compute, as far as it may be a key in `agents`, a part of a URL and a name in a certificate. */
export const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?$/;
export const HOST_NAME_FORM =
	'a Nova host name: letters, digits, ".", "_" and "-", the first and the last a letter or digit';

export const MAX_DEVICES = 8192;

/** Of one device; far above what a driver has: what a decision costs grows with it. */
export const MAX_ATTRIBUTES = 512;

/**
 * One page: the most that a sysfs attribute can hold, and that the agent reads of one. Four times as long as other texts may be, because a
 * declaration in blocks or JSON may fill it, and cut off it would be another declaration.
 */
export const MAX_VALUE_LENGTH = 4096;

/** A host of 4,096 VFs and 512 mdevs has 5 MB, with the sample overlays 7.3. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Seconds: `snapshot_stale_after` of a service that does not say otherwise. */
export const USUAL_STALE_AFTER_S = 60;
