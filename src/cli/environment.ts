/** For the URL of the broker, with its password: everyone on the machine sees the options of a process. */
export const URL_VARIABLE = "NOVACOMPAT_TRANSPORT_URL";
