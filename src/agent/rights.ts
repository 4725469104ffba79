/** What helps whom the mode of a file or directory keeps out, as that of debugfs and of libvirt's status files does. */
export const READ_RIGHTS = "root, or CAP_DAC_READ_SEARCH, as the agent's unit has it";

/** An errno for a message, with the right that is missing if it is one. */
export function withRights(errno: string): string {
	return errno === "EACCES" ? `${errno}; what helps: ${READ_RIGHTS}` : errno;
}
