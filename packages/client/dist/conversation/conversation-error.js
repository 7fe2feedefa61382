/** The device has no keys of this conversation. */
export class NotInGroupError extends Error {
    name = 'NotInGroupError';
}
/** Every attempt lost its epoch to a commit of another member. */
export class TooManyEpochRacesError extends Error {
    name = 'TooManyEpochRacesError';
}
/** Commits are missing, or one cannot be applied: the device has to join the group anew. */
export class LostGroupError extends Error {
    name = 'LostGroupError';
    convoId;
    constructor(convoId) {
        super(`this device has lost the state of the group ${convoId}`);
        this.convoId = convoId;
    }
}
/** These people have published no key package, so nobody can add them. */
export class NoKeyPackageError extends Error {
    name = 'NoKeyPackageError';
    dids;
    constructor(dids) {
        super(`${dids.length} of the people have no key package left`);
        this.dids = dids;
    }
}
