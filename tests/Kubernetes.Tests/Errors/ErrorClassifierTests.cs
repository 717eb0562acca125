using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;

namespace MultiCluster.Kubernetes.Tests.Errors;

public sealed class ErrorClassifierTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly Uri Server = new("https://10.0.0.1:6443");

    public static TheoryData<int, string?, string, KubeErrorKind, string?> Answers => new()
    {
        { 401, "application/json", ScriptedAnswers.Status(401, "Unauthorized", "Unauthorized"), KubeErrorKind.Unauthorized, "Unauthorized" },
        { 403, "application/json", ScriptedAnswers.Status(403, "Forbidden", "pods is forbidden"), KubeErrorKind.Forbidden, "Forbidden" },
        { 404, "application/json", ScriptedAnswers.Status(404, "NotFound", "pods x not found"), KubeErrorKind.NotFound, "NotFound" },
        { 404, "text/plain", "404 page not found\n", KubeErrorKind.NotFound, null },
        { 405, "application/json", ScriptedAnswers.Status(405, "MethodNotAllowed", "no"), KubeErrorKind.Invalid, "MethodNotAllowed" },
        { 409, "application/json", ScriptedAnswers.Status(409, "AlreadyExists", "exists"), KubeErrorKind.Conflict, "AlreadyExists" },
        { 410, "application/json", ScriptedAnswers.Status(410, "Expired", "too old"), KubeErrorKind.Gone, "Expired" },
        { 422, "application/json", ScriptedAnswers.Status(422, "Invalid", "wrong"), KubeErrorKind.Invalid, "Invalid" },
        { 429, "text/plain", "Too many requests, please try again later.\n", KubeErrorKind.Throttled, null },
        { 500, "application/json", ScriptedAnswers.Status(500, "InternalError", "boom"), KubeErrorKind.ServerError, "InternalError" },
        { 500, "application/json", """{"kind":"Status","mess""", KubeErrorKind.ServerError, null },
        { 503, "text/html", "<html>no backend</html>", KubeErrorKind.ServerError, null },
        { 504, "text/plain", """{"metadata":{},"status":"Failure","message":"Timeout: request did not complete","reason":"Timeout","details":{},"code":504}""", KubeErrorKind.Timeout, "Timeout" },
        { 302, "text/html", "<html>login</html>", KubeErrorKind.Protocol, null },
        { 307, null, "", KubeErrorKind.Protocol, null },
        { 400, "text/html", "<!DOCTYPE html>", KubeErrorKind.Protocol, null },
    };

    [Theory]
    [MemberData(nameof(Answers))]
    public void FromAnswer_Answer_HasItsKindAndReason(int status, string? type, string body, KubeErrorKind kind, string? reason)
    {
        KubeError error = ErrorClassifier.FromAnswer(status, type, null, Encoding.UTF8.GetBytes(body), Now);
        Assert.Equal((kind, reason, status), (error.Kind, error.Reason, error.HttpStatus));
        Assert.DoesNotContain("<html", error.Message, StringComparison.OrdinalIgnoreCase);
        if (body.Contains("\"Failure\"", StringComparison.Ordinal))
        {
            Assert.Equal(body, Encoding.UTF8.GetString(error.StatusJson.Span));
        }
    }

    [Fact]
    public void FromAnswer_TooLargeResourceVersion_IsMarkedWithItsWait()
    {
        string body = ScriptedAnswers.Status(504, "Timeout", "Timeout: Too large resource version: 9, current: 3",
            ""","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1}""");
        KubeError error = ErrorClassifier.FromAnswer(504, "application/json", null, Encoding.UTF8.GetBytes(body), Now);
        Assert.True(error.ResourceVersionTooLarge);
        Assert.Equal(TimeSpan.FromSeconds(1), error.RetryAfter);
    }

    [Fact]
    public void FromAnswer_RetryAfterDate_CountsFromNow()
    {
        KubeError error = ErrorClassifier.FromAnswer(429, null, new RetryConditionHeaderValue(Now.AddSeconds(7)), default, Now);
        Assert.Equal(TimeSpan.FromSeconds(7), error.RetryAfter);
    }

    [Fact]
    public void FromAnswer_UnhealthyServer_NamesTheFailedChecksOnly()
    {
        KubeError error = ErrorClassifier.FromAnswer(
            500, "text/plain", null, "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nreadyz check failed"u8, Now);
        Assert.Contains("[-]etcd failed", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("ping", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Authorization: Bearer abc.def-123", "abc.def-123")]
    [InlineData("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln was refused", "eyJhbGci")]
    [InlineData("proxy http://user:secret@host/ failed", "secret")]
    [InlineData("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "MIIB")]
    public void FromAnswer_TextWithASecret_DoesNotShowIt(string text, string secret)
    {
        KubeError error = ErrorClassifier.FromAnswer(500, "text/plain", null, Encoding.UTF8.GetBytes(text), Now);
        Assert.DoesNotContain(secret, error.Message, StringComparison.Ordinal);
        Assert.Contains("[redacted]", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<Exception, KubeErrorKind> Exceptions => new()
    {
        { new HttpRequestException(HttpRequestError.ConnectionError, "x", new SocketException((int)SocketError.ConnectionRefused)), KubeErrorKind.ConnectionRefused },
        { new HttpRequestException(HttpRequestError.ConnectionError, "x", new SocketException((int)SocketError.TimedOut)), KubeErrorKind.Timeout },
        { new HttpRequestException(HttpRequestError.NameResolutionError, "x", new SocketException((int)SocketError.HostNotFound)), KubeErrorKind.NameResolution },
        { new HttpRequestException(HttpRequestError.SecureConnectionError, "x", new IOException("eof")), KubeErrorKind.Tls },
        { new HttpRequestException(HttpRequestError.SecureConnectionError, "x", new ServerCertificateException("unknown CA.")), KubeErrorKind.Tls },
        { new HttpRequestException(HttpRequestError.InvalidResponse, "x"), KubeErrorKind.Protocol },
        { new HttpIOException(HttpRequestError.ResponseEnded), KubeErrorKind.ConnectionRefused },
        { new HttpRequestException(HttpRequestError.HttpProtocolError, "x", new HttpProtocolException(0x1, "a ping was not answered", null)), KubeErrorKind.Timeout },
        { new IOException("x", new SocketException((int)SocketError.ConnectionReset)), KubeErrorKind.ConnectionRefused },
        { new TaskCanceledException(), KubeErrorKind.Timeout },
        { new InvalidDataException("gzip"), KubeErrorKind.Protocol },
        { new KubeException(KubeErrorKind.Gone, "x"), KubeErrorKind.Gone },
    };

    [Theory]
    [MemberData(nameof(Exceptions))]
    public void FromException_Failure_HasItsKindAndNamesTheServer(Exception exception, KubeErrorKind kind)
    {
        KubeError error = ErrorClassifier.FromException(exception, Server);
        Assert.Equal(kind, error.Kind);
        Assert.True(exception is KubeException or InvalidDataException || error.Message.Contains("10.0.0.1:6443", StringComparison.Ordinal), error.Message);
    }
}
