//! Every field of a connector's `config` and `secrets`: what parsing and documentation are driven from.

use super::parts::{RETRY, TEXT_FORMS, TIMEOUTS, TLS, VALUE_MAPS, WEEK_MS};
use super::table::{Field, Kind, LENGTHS, Need, field};

const WRITES: Kind = Kind::OneOf(&["post", "put", "patch"]);
/// Empty is taken as null is.
const WRITES_OR_NONE: Kind = Kind::OneOf(&["post", "put", "patch", ""]);
const READS: Kind = Kind::OneOf(&["get", "post"]);

/// The types of authentication that the reference names.
pub(crate) const BASIC: &str = "webhook-authentication-basic";
pub(crate) const CERTIFICATE: &str = "webhook-authentication-ssl";
pub(crate) const OAUTH2: &str = "webhook-oauth2-client-credentials";
pub(crate) const QUERY_PARAM: &str = "http-authentication-query-param";

/// The header that idempotency keys are sent in unless the connector names another one or none.
pub(crate) const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

use Need::{Default, Extension, NullOr, Optional, OptionalOrNull, Required};

/// The fields of `config`: first those of the reference, then casehook's own.
pub(crate) const FIELDS: &[Field] = &[
    field(
        "createIncidentUrl",
        Kind::Url,
        Required,
        "where an incident is created",
    ),
    field(
        "createIncidentMethod",
        WRITES,
        Default("\"post\""),
        "the method of a create",
    ),
    field("createIncidentJson", Kind::Json, Required, "the body of a create"),
    field(
        "createIncidentResponseKey",
        Kind::Path,
        Required,
        "where the external id stands in the answer to a create",
    ),
    field(
        "getIncidentUrl",
        Kind::Url,
        Required,
        "where an incident is read back",
    ),
    field(
        "getIncidentMethod",
        READS,
        Default("\"get\""),
        "the method of reading back",
    ),
    field(
        "getIncidentJson",
        Kind::Json,
        NullOr("null"),
        "the body of reading back by post",
    ),
    field(
        "getIncidentResponseExternalTitleKey",
        Kind::Path,
        Required,
        "where the title stands in the incident read back",
    ),
    field("viewIncidentUrl", Kind::Url, Required, "the link for people"),
    field(
        "updateIncidentUrl",
        Kind::Url,
        Required,
        "where an incident is updated",
    ),
    field(
        "updateIncidentMethod",
        WRITES,
        Default("\"put\""),
        "the method of an update",
    ),
    field(
        "updateIncidentJson",
        Kind::Json,
        Required,
        "the body of an update",
    ),
    field(
        "createCommentUrl",
        Kind::Url,
        NullOr("null"),
        "where a comment is added; without it comments are skipped",
    ),
    field(
        "createCommentMethod",
        WRITES_OR_NONE,
        NullOr("\"put\""),
        "the method of adding a comment",
    ),
    field(
        "createCommentJson",
        Kind::Json,
        NullOr("null"),
        "the body of a comment; without it comments are skipped",
    ),
    field(
        "headers",
        Kind::Headers,
        NullOr("null"),
        "headers of every request",
    ),
    field(
        "hasAuth",
        Kind::Bool,
        Default("true"),
        "whether requests are authenticated",
    ),
    field(
        "authType",
        Kind::OneOf(&[BASIC, CERTIFICATE, OAUTH2, QUERY_PARAM]),
        NullOr("\"webhook-authentication-basic\""),
        "how requests are authenticated",
    ),
    field(
        "certType",
        Kind::OneOf(&["ssl-crt-key", "ssl-pfx"]),
        Optional,
        "the form of the client certificate",
    ),
    field(
        "ca",
        Kind::Text,
        Optional,
        "certificate authorities to trust: PEM in base64",
    ),
    field(
        "verificationMode",
        Kind::OneOf(&["full", "certificate", "none"]),
        Optional,
        "how the target's certificate is verified",
    ),
    field(
        "accessTokenUrl",
        Kind::Text,
        Optional,
        "where OAuth2 access tokens are fetched",
    ),
    field("clientId", Kind::Text, Optional, "the OAuth2 client"),
    field("scope", Kind::Text, Optional, "the OAuth2 scope"),
    field(
        "additionalFields",
        Kind::Text,
        OptionalOrNull("none"),
        "more fields of the OAuth2 token request: a JSON object as text",
    ),
    field(
        "accessTokenAuthMethod",
        Kind::OneOf(&["client_secret_post", "client_secret_basic"]),
        Extension("client_secret_post"),
        "whether the client's secret goes into the form of the token request or into a header",
    ),
    field(
        "retry",
        Kind::Object(RETRY),
        Extension("{}"),
        "how often and how long a push is tried",
    ),
    field(
        "coalesce",
        Kind::Bool,
        Extension("true"),
        "whether a push takes the place of earlier ones of its case that were not begun",
    ),
    field(
        "maxInFlight",
        Kind::Whole(1, 64),
        Extension("4"),
        "how many cases are delivered at once",
    ),
    field(
        "minIntervalMs",
        Kind::Whole(0, WEEK_MS),
        Extension("0"),
        "the least time between two requests",
    ),
    field(
        "timeouts",
        Kind::Object(TIMEOUTS),
        Extension("{}"),
        "bounds on one exchange",
    ),
    field(
        "onUncertainCreate",
        Kind::OneOf(&["find", "retry", "hold"]),
        Extension("find with findIncidentUrl, else retry"),
        "what happens after a create whose outcome is not known",
    ),
    field(
        "findIncidentUrl",
        Kind::Url,
        Extension("none"),
        "where an incident is looked up after a create whose outcome is not known",
    ),
    field(
        "findIncidentMethod",
        READS,
        Extension("get"),
        "the method of looking up",
    ),
    field(
        "findIncidentJson",
        Kind::Json,
        Extension("none"),
        "the body of looking up by post",
    ),
    field(
        "findIncidentResponseKey",
        Kind::Path,
        Extension("none"),
        "where the ids of found incidents stand",
    ),
    field(
        "findSettleMs",
        Kind::Whole(0, WEEK_MS),
        Extension("60000"),
        "how long after the uncertain send finding nothing counts",
    ),
    field(
        "maxUncertainResends",
        Kind::Whole(0, 1_000),
        Extension("3"),
        "how often an uncertain create is sent again",
    ),
    field(
        "idempotencyHeader",
        Kind::Text,
        OptionalOrNull(IDEMPOTENCY_HEADER),
        "the header of idempotency keys; null sends none",
    ),
    field(
        "idempotencyKeyFormat",
        Kind::OneOf(&["bare", "quoted"]),
        Extension("bare"),
        "how the key is written",
    ),
    field(
        "idempotencyKeySeconds",
        Kind::Whole(1, WEEK_MS),
        Extension("unlimited"),
        "how long the target remembers keys",
    ),
    field(
        "createIncidentHeaders",
        Kind::Headers,
        Extension("none"),
        "headers of creates alone",
    ),
    field(
        "getIncidentHeaders",
        Kind::Headers,
        Extension("none"),
        "headers of reading back alone",
    ),
    field(
        "updateIncidentHeaders",
        Kind::Headers,
        Extension("none"),
        "headers of updates alone",
    ),
    field(
        "createCommentHeaders",
        Kind::Headers,
        Extension("none"),
        "headers of comments alone",
    ),
    field(
        "failureResponseKey",
        Kind::Path,
        Extension("none"),
        "a 2xx answer that holds something here is a failure",
    ),
    field(
        "viewIncidentResponseKey",
        Kind::Path,
        Extension("none"),
        "where the link stands in the answer to a create or get",
    ),
    field(
        "valueMaps",
        Kind::Object(VALUE_MAPS),
        Extension("{}"),
        "what the host's severities and statuses are called at the target",
    ),
    field(
        "maxLengths",
        Kind::Lengths(LENGTHS),
        Extension("{}"),
        "the most characters of id, title, description, severity, status, a tag, comment or fields.NAME",
    ),
    field(
        "textForms",
        Kind::Object(TEXT_FORMS),
        Extension("{}"),
        "what description and comment are in JSON bodies: texts, or documents for targets that want these",
    ),
    field(
        "texts",
        Kind::TextsByName,
        Extension("{}"),
        "texts put together from a case, for templates as case.texts.NAME",
    ),
    field(
        "extraTags",
        Kind::Texts,
        Extension("[]"),
        "tags that every case gets beside its own, put together as texts are",
    ),
    field(
        "tagSpaces",
        Kind::Text,
        Extension("none"),
        "what tags get in the place of spaces, for targets that refuse these",
    ),
    field(
        "createOnly",
        Kind::Bool,
        Extension("false"),
        "whether incidents are created and never updated; makes get and update optional",
    ),
    field(
        "targetId",
        Kind::Text,
        Extension("the origin of createIncidentUrl"),
        "names the target that links belong to",
    ),
    field(
        "ifMatchHeader",
        Kind::Bool,
        Extension("false"),
        "send the ETag of a fresh get as If-Match with updates",
    ),
    field(
        "onExternalGone",
        Kind::OneOf(&["fail", "recreate"]),
        Extension("fail"),
        "what happens when a linked incident is gone",
    ),
    field(
        "proxy",
        Kind::Object(super::proxy::FIELDS),
        Extension("the setting proxyUrl"),
        "a proxy for this connector alone",
    ),
    field(
        "tls",
        Kind::Object(TLS),
        Extension("{}"),
        "TLS settings for this connector alone, beside ca and verificationMode",
    ),
];

/// The fields of `secrets`. Each value may be `{"env": "NAME"}` or `{"file": "PATH"}` instead.
pub(crate) const SECRETS: &[Field] = &[
    field(
        "user",
        Kind::Text,
        NullOr("null"),
        "the user of basic authentication",
    ),
    field(
        "password",
        Kind::Text,
        NullOr("null"),
        "the password of basic authentication, or the passphrase of key or pfx",
    ),
    field(
        "crt",
        Kind::Text,
        NullOr("null"),
        "the client certificate: PEM in base64",
    ),
    field(
        "key",
        Kind::Text,
        NullOr("null"),
        "the client certificate's key: PEM in base64",
    ),
    field(
        "pfx",
        Kind::Text,
        NullOr("null"),
        "the client certificate and its key: PKCS #12 in base64",
    ),
    field(
        "clientSecret",
        Kind::Text,
        NullOr("null"),
        "the secret of the OAuth2 client",
    ),
    field(
        "proxyUser",
        Kind::Text,
        NullOr("null"),
        "the user of the connector's own proxy",
    ),
    field(
        "proxyPassword",
        Kind::Text,
        NullOr("null"),
        "the password of the connector's own proxy",
    ),
    field(
        "secretHeaders",
        Kind::Headers,
        NullOr("null"),
        "headers of every request whose values are secret",
    ),
];
