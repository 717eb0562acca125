using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace MultiCluster.Gateway.Security;

/// <summary>Authenticates <c>Authorization: Bearer TOKEN</c> against the admin token.</summary>
internal sealed class BearerAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options,
    ILoggerFactory loggers,
    UrlEncoder encoder,
    AdminToken admin) : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string Name = "Bearer";

    /// <summary>Group of those who may do everything.</summary>
    public const string AdministratorsGroup = "multicluster:admins";

    /// <summary>What somebody without a token is told; ASCII without '%', so that it is a <c>grpc-message</c> as it stands.</summary>
    public const string Hint =
        "Send the header 'Authorization: Bearer TOKEN'. The administrator's token is in the file admin-token of the service's data directory.";

    private const string GrpcContentType = "application/grpc";

    private const string GrpcUnauthenticated = "16";

    private const string Prefix = "Bearer ";

    // No token of ours is longer; a longer one costs no hashing.
    private const int LongestToken = 8192;

    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        string header = Request.Headers.Authorization.ToString();
        if (header.Length == 0)
        {
            return Task.FromResult(AuthenticateResult.NoResult());
        }

        if (!header.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) || header.Length > LongestToken)
        {
            return Task.FromResult(AuthenticateResult.Fail("Only bearer tokens are accepted."));
        }

        if (!admin.Matches(header[Prefix.Length..].Trim()))
        {
            return Task.FromResult(AuthenticateResult.Fail("The token is not known."));
        }

        var identity = new ClaimsIdentity(
            [new Claim(ClaimTypes.Name, "admin"), new Claim(ClaimTypes.Role, AdministratorsGroup)], Name, ClaimTypes.Name, ClaimTypes.Role);
        return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Name)));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (Request.ContentType?.StartsWith(GrpcContentType, StringComparison.OrdinalIgnoreCase) == true)
        {
            // To a gRPC client the status of a call is what these say; of an HTTP 401 it would show a guess and no text.
            Response.StatusCode = 200;
            Response.ContentType = GrpcContentType;
            Response.Headers["grpc-status"] = GrpcUnauthenticated;
            Response.Headers["grpc-message"] = Hint;
            return Task.CompletedTask;
        }

        Response.StatusCode = 401;
        Response.Headers[HeaderNames.WWWAuthenticate] = "Bearer realm=\"multicluster\"";
        return Task.CompletedTask;
    }
}
