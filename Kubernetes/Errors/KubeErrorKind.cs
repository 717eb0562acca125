namespace MultiCluster.Kubernetes.Errors;

/// <summary>Why a call to a Kubernetes API server did not succeed; each kind asks for another action.</summary>
public enum KubeErrorKind
{
    /// <summary>The server refused the credentials (401). Replace them; do not retry with the same.</summary>
    Unauthorized,

    /// <summary>The credentials are good but lack the right (403). Grant it; the cluster itself is fine.</summary>
    Forbidden,

    /// <summary>The object, resource or path does not exist (404).</summary>
    NotFound,

    /// <summary>Somebody else changed it or owns it (409). Read again, then decide.</summary>
    Conflict,

    /// <summary>The resourceVersion or continue token is too old (410). List again.</summary>
    Gone,

    /// <summary>The server understood and refuses the request as wrong (400, 405, 406, 413, 415, 422). Repeating it changes nothing.</summary>
    Invalid,

    /// <summary>Too many requests (429). Wait as long as <c>Retry-After</c> says, without listing.</summary>
    Throttled,

    /// <summary>The server failed (5xx, except those below). Retry with backoff.</summary>
    ServerError,

    /// <summary>No answer within our deadline, or the server gave up (504). Retry with backoff.</summary>
    Timeout,

    /// <summary>Nobody listens, or the connection broke. Retry with backoff.</summary>
    ConnectionRefused,

    /// <summary>The server's name does not resolve. Correct the address or the DNS.</summary>
    NameResolution,

    /// <summary>No trusted TLS connection: unknown CA, other name, expired certificate, or no TLS at all.</summary>
    Tls,

    /// <summary>What answered does not speak the Kubernetes protocol: HTML, half a document, an object over the limit.</summary>
    Protocol,
}
