using System.Buffers;
using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>What a credential plugin printed.</summary>
internal sealed record ExecCredential(string? Token, string? CertificatePem, string? KeyPem, DateTimeOffset? ExpiresAt)
{
    public override string ToString() => "exec credential";
}

/// <summary>Runs a credential plugin by the protocol of <c>client.authentication.k8s.io</c> v1 and v1beta1.</summary>
/// <remarks>The program runs without a terminal, is killed at its deadline, and what it prints is bounded and never shown.</remarks>
internal sealed class ExecCredentialRunner(ExecPlugin plugin, ClusterConnection connection, bool allowed, TimeProvider time)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    // A token and a certificate chain; real plugins print below 10 KB.
    private const int MaxOutputBytes = 256 * 1024;

    /// <exception cref="KubeException">The plugin may not run, or gave nothing usable.</exception>
    public async Task<ExecCredential> RunAsync()
    {
        if (!allowed)
        {
            throw Failed("is not run, because exec plugins are switched off here. Switch them on (AllowExec) or use a token or a client certificate.");
        }

        using var deadline = new CancellationTokenSource(Deadline, time);
        using Process process = Start();
        try
        {
            process.StandardInput.Close();
            Task<byte[]?> errors = ReadAsync(process.StandardError.BaseStream, deadline.Token);
            byte[]? output = await ReadAsync(process.StandardOutput.BaseStream, deadline.Token);
            _ = await errors;
            await process.WaitForExitAsync(deadline.Token);
            if (output is null)
            {
                throw Failed("printed more than 256 KiB.");
            }

            return process.ExitCode == 0 ? Parse(output) : throw Failed($"ended with code {process.ExitCode}. Run it by hand to see why.{Hint()}");
        }
        catch (OperationCanceledException)
        {
            throw Failed($"did not end within {Deadline.TotalSeconds:0} seconds.");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private Process Start()
    {
        var start = new ProcessStartInfo(plugin.Command)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (string argument in plugin.Args)
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string value) in plugin.Env)
        {
            start.Environment[name] = value;
        }

        start.Environment["KUBERNETES_EXEC_INFO"] = ExecInfo();
        try
        {
            return Process.Start(start) ?? throw Failed("did not start.");
        }
        catch (Win32Exception)
        {
            throw Failed($"cannot be started: there is no such program, or it may not be run.{Hint()}");
        }
    }

    private string ExecInfo()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("kind", "ExecCredential");
            json.WriteString("apiVersion", plugin.ApiVersion);
            json.WriteStartObject("spec");
            json.WriteBoolean("interactive", false);
            if (plugin.ProvideClusterInfo)
            {
                json.WriteStartObject("cluster");
                json.WriteString("server", connection.Server.AbsoluteUri);
                if (connection.TlsServerName is { } name)
                {
                    json.WriteString("tls-server-name", name);
                }

                if (connection.CertificateAuthorityPem is { } pem)
                {
                    json.WriteString("certificate-authority-data", Convert.ToBase64String(Encoding.UTF8.GetBytes(pem)));
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private ExecCredential Parse(byte[] output)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(output);
            JsonElement root = document.RootElement;
            if (Text(root, "kind") != "ExecCredential" || Text(root, "apiVersion") != plugin.ApiVersion)
            {
                throw Failed($"printed something other than an ExecCredential of {plugin.ApiVersion}.");
            }

            JsonElement status = root.GetProperty("status");
            DateTimeOffset? expiry = status.TryGetProperty("expirationTimestamp", out JsonElement at) && at.ValueKind == JsonValueKind.String
                ? at.GetDateTimeOffset()
                : null;
            var credential = new ExecCredential(Text(status, "token"), Text(status, "clientCertificateData"), Text(status, "clientKeyData"), expiry);
            if (credential.Token is null && credential is not { CertificatePem: not null, KeyPem: not null })
            {
                throw Failed("printed an ExecCredential with neither a token nor a client certificate and key.");
            }

            string? fault = credential.Token is { } token ? ConnectionChecks.CheckToken(token)
                : ConnectionChecks.CheckCertificate(new ClientCertificate(credential.CertificatePem!, credential.KeyPem!), time.GetUtcNow());
            return fault is null ? credential : throw Failed($"printed something unusable. {fault}");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Failed("printed something other than an ExecCredential in JSON.");
        }
    }

    private static async Task<byte[]?> ReadAsync(Stream from, CancellationToken cancellationToken)
    {
        var kept = new MemoryStream();
        byte[] chunk = new byte[4096];
        bool fits = true;
        while (await from.ReadAsync(chunk, cancellationToken) is > 0 and int count)
        {
            fits &= kept.Length + count <= MaxOutputBytes;
            if (fits)
            {
                kept.Write(chunk, 0, count);
            }
        }

        return fits ? kept.ToArray() : null;
    }

    private static string? Text(JsonElement from, string name) =>
        from.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private string Hint() => plugin.InstallHint is { Length: > 0 } hint ? $" Its author says: {ErrorClassifier.Redact(hint)}" : "";

    private KubeException Failed(string what) =>
        new(new KubeError(KubeErrorKind.Unauthorized, $"The exec plugin {plugin.Command} {what}") { Reason = KubeErrorReasons.CredentialSource });
}
