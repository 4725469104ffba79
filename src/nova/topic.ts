/** The topic of our own methods. */
export const MIGRATION_COMPAT_TOPIC = "migration_compat";
