using System.Security.Cryptography.X509Certificates;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>Gives the bearer token of a connection, renewed where its source renews it.</summary>
/// <remarks>
/// Thread-safe. A renewal runs once for all who wait for it and never under a lock, so that a wave of 401s renews once
/// and nobody waits for anybody but the source.
/// </remarks>
internal sealed class TokenReader : IDisposable
{
    // A mounted token is renewed long before it expires; a file this small costs nothing to read.
    private static readonly TimeSpan FileAge = TimeSpan.FromSeconds(5);

    // Renew before the server's clock, which may be ahead of ours, says that it is too late.
    private static readonly TimeSpan ExpirySlack = TimeSpan.FromSeconds(30);

    private const int MaxTokenBytes = 64 * 1024;

    private readonly TokenSource? _source;
    private readonly ExecCredentialRunner? _exec;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private volatile Known? _known;
    private Task<Known>? _renewal;

    public TokenReader(ClusterConnection connection, KubeClientOptions options, TimeProvider time)
    {
        _source = connection.Credentials.Token;
        _time = time;
        _exec = _source is TokenSource.Exec exec ? new ExecCredentialRunner(exec.Plugin, connection, options.AllowExec, time) : null;
    }

    /// <summary>Whether the source may give a client certificate instead of a token.</summary>
    public bool MayHoldCertificate => _exec is not null;

    /// <summary>Whether asking again may give another token.</summary>
    public bool MayChange => _source is not (null or TokenSource.Fixed);

    /// <summary>The certificate that an exec plugin gave last.</summary>
    public X509Certificate2? Certificate => _known?.Certificate;

    /// <summary>The token that was sent last; null where none was.</summary>
    public string? Current => _source is TokenSource.Fixed known ? known.Token : _known?.Token;

    /// <summary>The token to send now; null for none.</summary>
    /// <param name="refused">The token that the server has just refused: a source that can change is asked again.</param>
    /// <param name="cancellationToken">Ends the wait, not the renewal that others may wait for.</param>
    /// <exception cref="KubeException">The source gave nothing and there is no older token.</exception>
    public ValueTask<string?> GetAsync(string? refused, CancellationToken cancellationToken)
    {
        switch (_source)
        {
            case null:
                return ValueTask.FromResult<string?>(null);
            case TokenSource.Fixed known:
                return ValueTask.FromResult<string?>(known.Token);
        }

        Known? last = _known;
        return last is not null && last.Token != refused && last.FreshUntil > _time.GetUtcNow()
            ? ValueTask.FromResult(last.Token)
            : new ValueTask<string?>(RenewAsync(cancellationToken));
    }

    public void Dispose() => _known?.Certificate?.Dispose();

    private async Task<string?> RenewAsync(CancellationToken cancellationToken)
    {
        Task<Known> renewal;
        lock (_gate)
        {
            renewal = _renewal ??= RunAsync();
        }

        return (await renewal.WaitAsync(cancellationToken)).Token;
    }

    private async Task<Known> RunAsync()
    {
        await Task.Yield();   // so that _renewal is set before it is cleared
        try
        {
            Known known = _source is TokenSource.File file ? await ReadFileAsync(file.Path) : await RunPluginAsync();
            _known = known;
            return known;
        }
        finally
        {
            lock (_gate)
            {
                _renewal = null;
            }
        }
    }

    private async Task<Known> ReadFileAsync(string path)
    {
        string? problem;
        try
        {
            string token = "";
            await using (FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 4096, FileOptions.Asynchronous))
            {
                if (file.Length <= MaxTokenBytes)
                {
                    using var reader = new StreamReader(file);
                    token = (await reader.ReadToEndAsync()).Trim();
                }
            }

            problem = ConnectionChecks.CheckToken(token);
            if (problem is null)
            {
                return new Known(token, null, _time.GetUtcNow() + FileAge);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = $"It cannot be read ({e.GetType().Name}).";
        }

        // The file is replaced by rename or by rewriting; between the two the old token still serves.
        return _known is { } last
            ? last with { FreshUntil = _time.GetUtcNow() + FileAge }
            : throw Failed($"The token file {path} gives no token: {problem}");
    }

    private async Task<Known> RunPluginAsync()
    {
        ExecCredential credential = await _exec!.RunAsync();
        DateTimeOffset until = credential.ExpiresAt is { } expiry ? expiry - ExpirySlack : DateTimeOffset.MaxValue;
        DateTimeOffset soonest = _time.GetUtcNow() + TimeSpan.FromSeconds(1);   // a plugin that gives expired tokens must not run per request
        X509Certificate2? certificate = credential is { CertificatePem: { } pem, KeyPem: { } key } ? X509Certificate2.CreateFromPem(pem, key) : null;
        return new Known(credential.Token, certificate, until > soonest ? until : soonest);
    }

    private static KubeException Failed(string message) =>
        new(new KubeError(KubeErrorKind.Unauthorized, message) { Reason = KubeErrorReasons.CredentialSource });

    private sealed record Known(string? Token, X509Certificate2? Certificate, DateTimeOffset FreshUntil);
}
