/* error.c: the table of AWS's error codes that mean something to us; for all others the status
 * decides. Owns nothing; pure. */
#include "aws/error.h"

#include "aws/json.h"
#include "base/alloc.h"

static const struct {
    const char *code;
    enum gw_err err;
} known[] = {
    {"BandwidthLimitExceeded", GW_ERR_BUSY},
    {"ConditionalRequestConflict", GW_ERR_BUSY}, /* S3: two conditional writes at a time */
    {"KmsThrottled", GW_ERR_BUSY},
    {"LimitExceededException", GW_ERR_BUSY},
    {"OperationAborted", GW_ERR_BUSY},
    {"OverLimit", GW_ERR_BUSY}, /* SQS: too many messages in flight */
    {"PriorRequestNotComplete", GW_ERR_BUSY},
    {"ProvisionedThroughputExceededException", GW_ERR_BUSY},
    {"ReplicatedWriteConflictException", GW_ERR_BUSY},
    {"RequestLimitExceeded", GW_ERR_BUSY},
    {"RequestThrottled", GW_ERR_BUSY},
    {"RequestThrottledException", GW_ERR_BUSY},
    {"SlowDown", GW_ERR_BUSY},
    {"ThrottledException", GW_ERR_BUSY},
    {"Throttling", GW_ERR_BUSY},
    {"ThrottlingException", GW_ERR_BUSY},
    {"TooManyRequestsException", GW_ERR_BUSY},
    {"TransactionConflictException", GW_ERR_BUSY},
    {"TransactionInProgressException", GW_ERR_BUSY},

    {"ExpiredToken", GW_ERR_UNAVAILABLE}, /* the keys are fetched anew */
    {"ExpiredTokenException", GW_ERR_UNAVAILABLE},
    {"IncompleteBody", GW_ERR_UNAVAILABLE},
    {"RequestExpired", GW_ERR_UNAVAILABLE},
    {"RequestTimeTooSkewed", GW_ERR_UNAVAILABLE},
    {"RequestTimeout", GW_ERR_UNAVAILABLE},
    {"RequestTimeoutException", GW_ERR_UNAVAILABLE},
    {"TemporaryRedirect", GW_ERR_UNAVAILABLE}, /* S3: a new bucket */
    {"XAmzContentSHA256Mismatch", GW_ERR_UNAVAILABLE},

    {"InvalidObjectState", GW_ERR_INVALID}, /* S3: archived */

    {"AWS.SimpleQueueService.NonExistentQueue", GW_ERR_NOT_FOUND},
    {"MethodNotAllowed", GW_ERR_NOT_FOUND}, /* S3: the version is a deletion */
    {"NoSuchBucket", GW_ERR_NOT_FOUND},
    {"NoSuchKey", GW_ERR_NOT_FOUND},
    {"NoSuchVersion", GW_ERR_NOT_FOUND},
    {"QueueDoesNotExist", GW_ERR_NOT_FOUND},
    {"ResourceNotFoundException", GW_ERR_NOT_FOUND},

    {"ResourceInUseException", GW_ERR_EXISTS},

    {"ConditionalCheckFailedException", GW_ERR_CONFLICT},
    {"PreconditionFailed", GW_ERR_CONFLICT},

    {"BatchRequestTooLong", GW_ERR_TOO_LARGE},
    {"EntityTooLarge", GW_ERR_TOO_LARGE},
    {"ItemCollectionSizeLimitExceededException", GW_ERR_TOO_LARGE},

    {"AccessDenied", GW_ERR_KEY},
    {"AccessDeniedException", GW_ERR_KEY},
    {"AuthFailure", GW_ERR_KEY},
    {"AuthorizationHeaderMalformed", GW_ERR_KEY}, /* S3: the bucket is in another region */
    {"IncompleteSignature", GW_ERR_KEY},
    {"IncompleteSignatureException", GW_ERR_KEY},
    {"InvalidAccessKeyId", GW_ERR_KEY},
    {"InvalidClientTokenId", GW_ERR_KEY},
    {"InvalidSecurity", GW_ERR_KEY},
    {"InvalidSignatureException", GW_ERR_KEY},
    {"InvalidToken", GW_ERR_KEY},
    {"KMS.DisabledException", GW_ERR_KEY},
    {"KMS.KMSInvalidStateException", GW_ERR_KEY},
    {"KMS.NotFoundException", GW_ERR_KEY},
    {"KmsAccessDenied", GW_ERR_KEY},
    {"KmsDisabled", GW_ERR_KEY},
    {"KmsInvalidKeyUsage", GW_ERR_KEY},
    {"KmsInvalidState", GW_ERR_KEY},
    {"KmsNotFound", GW_ERR_KEY},
    {"KmsOptInRequired", GW_ERR_KEY},
    {"MissingAuthenticationToken", GW_ERR_KEY},
    {"MissingAuthenticationTokenException", GW_ERR_KEY},
    {"OptInRequired", GW_ERR_KEY},
    {"PermanentRedirect", GW_ERR_KEY}, /* S3: another region */
    {"SignatureDoesNotMatch", GW_ERR_KEY},
    {"UnrecognizedClientException", GW_ERR_KEY},
};

struct gw_slice gw_aws_error_code(struct gw_slice type)
{
    const char *hash = memrchr(type.ptr ? type.ptr : "", '#', type.len);
    struct gw_slice code = hash ? gw_slice_skip(type, (size_t)(hash - type.ptr) + 1) : type;
    const char *colon = memchr(code.ptr ? code.ptr : "", ':', code.len);

    if (colon)
        code.len = (size_t)(colon - code.ptr);
    return code;
}

/* A transaction is cancelled for the reasons of its items. A condition that is not met counts most:
 * trying again is pointless then. */
static enum gw_err cancelled(yyjson_val *reply)
{
    enum gw_err err = GW_ERR_BUSY;
    yyjson_val *reason;
    size_t i, max;

    yyjson_arr_foreach(yyjson_obj_get(reply, "CancellationReasons"), i, max, reason)
    {
        struct gw_slice code = gw_aws_json_text(reason, "Code");
        if (gw_slice_is(code, "ConditionalCheckFailed"))
            return GW_ERR_CONFLICT;
        if (gw_slice_is(code, "ValidationError"))
            err = GW_ERR_INVALID;
        else if (gw_slice_is(code, "ItemCollectionSizeLimitExceeded"))
            err = GW_ERR_TOO_LARGE;
    }
    return err;
}

static enum gw_err by_status(int status)
{
    switch (status) {
    case 401:
    case 403: return GW_ERR_KEY;
    case 404: return GW_ERR_NOT_FOUND;
    case 408: return GW_ERR_UNAVAILABLE;
    case 412: return GW_ERR_CONFLICT;
    case 413: return GW_ERR_TOO_LARGE;
    case 429: return GW_ERR_BUSY;
    default: return status >= 500 ? GW_ERR_UNAVAILABLE : GW_ERR_INVALID;
    }
}

enum gw_err gw_aws_error_of(int status, struct gw_slice code, yyjson_val *reply)
{
    if (gw_slice_is(code, "TransactionCanceledException"))
        return cancelled(reply);
    for (size_t i = 0; i < gw_count(known); i++)
        if (gw_slice_is(code, known[i].code))
            return known[i].err;
    return by_status(status);
}
