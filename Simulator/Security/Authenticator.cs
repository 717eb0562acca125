using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Security;

/// <summary>Tells who sends a request: client certificate, bearer token, impersonation.</summary>
internal sealed class Authenticator(CertificateAuthority authority, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, (UserInfo User, DateTimeOffset? Until)> _tokens = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, UserInfo?> _certificates = new(StringComparer.Ordinal);

    public void AddToken(string token, UserInfo user, DateTimeOffset? until = null) => _tokens[token] = (user, until);

    /// <summary>Makes a fresh token for a user.</summary>
    public string IssueToken(UserInfo user, DateTimeOffset? until = null)
    {
        string token = System.Buffers.Text.Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        AddToken(token, user, until);
        return token;
    }

    /// <summary>Makes a token unknown: whoever uses it is answered with 401.</summary>
    public bool RemoveToken(string token) => _tokens.TryRemove(token, out _);

    /// <summary>The user of a token, or null.</summary>
    public UserInfo? Find(string token) =>
        _tokens.TryGetValue(token, out (UserInfo User, DateTimeOffset? Until) known) && !(known.Until <= time.GetUtcNow()) ? known.User : null;

    /// <summary>The user of a request, before impersonation.</summary>
    /// <exception cref="Storage.StatusException">401: credentials that nobody knows are refused even where none are needed.</exception>
    public UserInfo Authenticate(HttpContext context)
    {
        if (context.Connection.ClientCertificate is { } certificate)
        {
            UserInfo? user = _certificates.GetOrAdd(certificate.Thumbprint, _ => OfCertificate(certificate));
            return user ?? throw Refusal.Unauthorized();
        }

        string? header = context.Request.Headers.Authorization;
        if (string.IsNullOrEmpty(header))
        {
            return UserInfo.Anonymous;
        }

        return header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) && Find(header[7..].Trim()) is { } known
            ? known
            : throw Refusal.Unauthorized();
    }

    /// <summary>The user that a request asks to be taken for; null when it asks for none.</summary>
    public static UserInfo? Impersonated(HttpContext context)
    {
        string? name = context.Request.Headers["Impersonate-User"];
        if (string.IsNullOrEmpty(name))
        {
            return null;
        }

        ImmutableArray<string> groups = [.. context.Request.Headers["Impersonate-Group"].OfType<string>()];
        return new UserInfo(name, context.Request.Headers["Impersonate-Uid"].ToString(), [.. groups, "system:authenticated"]);
    }

    private UserInfo? OfCertificate(X509Certificate2 certificate)
    {
        if (!authority.Trusts(certificate))
        {
            return null;
        }

        var groups = ImmutableArray.CreateBuilder<string>();
        string name = "";
        foreach (X500RelativeDistinguishedName part in certificate.SubjectName.EnumerateRelativeDistinguishedNames(reversed: false))
        {
            switch (part.GetSingleElementType().Value)
            {
                case "2.5.4.3":
                    name = part.GetSingleElementValue() ?? "";
                    break;
                case "2.5.4.10":
                    groups.Add(part.GetSingleElementValue() ?? "");
                    break;
            }
        }

        groups.Add("system:authenticated");
        return new UserInfo(name, "", groups.ToImmutable())
        {
            CredentialId = "X509SHA256=" + certificate.GetCertHashString(HashAlgorithmName.SHA256).ToLowerInvariant(),
        };
    }
}
