using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>The stored form of a connection. Additions are optional fields, so that old and new releases read each other.</summary>
internal static class ConnectionJson
{
    public static byte[] Write(ClusterConnection connection)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("server", connection.Server.AbsoluteUri);
            WriteOptional(json, "ca", connection.CertificateAuthorityPem);
            WriteOptional(json, "tlsServerName", connection.TlsServerName);
            if (connection.InsecureSkipTlsVerify)
            {
                json.WriteBoolean("insecure", true);
            }

            WriteOptional(json, "proxy", connection.Proxy?.OriginalString);
            if (connection.Impersonation is { } acting)
            {
                json.WriteStartObject("as");
                json.WriteString("user", acting.User);
                WriteOptional(json, "uid", acting.Uid);
                WriteStrings(json, "groups", acting.Groups);
                WritePairs(json, "extra", acting.Extra);
                json.WriteEndObject();
            }

            if (connection.Credentials.Certificate is { } certificate)
            {
                json.WriteStartObject("certificate");
                json.WriteString("pem", certificate.CertificatePem);
                json.WriteString("key", certificate.KeyPem);
                json.WriteEndObject();
            }

            WriteToken(json, connection.Credentials.Token);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    public static ClusterConnection Read(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(utf8);
            JsonElement root = document.RootElement;
            return new ClusterConnection(new Uri(root.GetProperty("server").GetString()!, UriKind.Absolute))
            {
                CertificateAuthorityPem = Text(root, "ca"),
                TlsServerName = Text(root, "tlsServerName"),
                InsecureSkipTlsVerify = root.TryGetProperty("insecure", out JsonElement insecure) && insecure.GetBoolean(),
                Proxy = Text(root, "proxy") is { } proxy ? new Uri(proxy, UriKind.Absolute) : null,
                Impersonation = root.TryGetProperty("as", out JsonElement acting)
                    ? new Impersonation(acting.GetProperty("user").GetString()!, Text(acting, "uid"), Strings(acting, "groups"), Pairs(acting, "extra"))
                    : null,
                Credentials = new KubeCredentials(
                    root.TryGetProperty("certificate", out JsonElement certificate)
                        ? new ClientCertificate(certificate.GetProperty("pem").GetString()!, certificate.GetProperty("key").GetString()!)
                        : null,
                    ReadToken(root)),
            };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentException or UriFormatException)
        {
            throw new FormatException("The stored cluster connection is damaged or of another format; register the cluster's credentials again.", e);
        }
    }

    private static void WriteToken(Utf8JsonWriter json, TokenSource? token)
    {
        switch (token)
        {
            case TokenSource.Fixed known:
                json.WriteString("token", known.Token);
                break;
            case TokenSource.File file:
                json.WriteString("tokenFile", file.Path);
                break;
            case TokenSource.Exec { Plugin: var plugin }:
                json.WriteStartObject("exec");
                json.WriteString("apiVersion", plugin.ApiVersion);
                json.WriteString("command", plugin.Command);
                WriteStrings(json, "args", plugin.Args);
                WritePairs(json, "env", plugin.Env);
                WriteOptional(json, "installHint", plugin.InstallHint);
                json.WriteBoolean("provideClusterInfo", plugin.ProvideClusterInfo);
                json.WriteEndObject();
                break;
        }
    }

    private static TokenSource? ReadToken(JsonElement root)
    {
        if (Text(root, "token") is { } known)
        {
            return new TokenSource.Fixed(known);
        }

        if (Text(root, "tokenFile") is { } path)
        {
            return new TokenSource.File(path);
        }

        if (!root.TryGetProperty("exec", out JsonElement exec))
        {
            return null;
        }

        return new TokenSource.Exec(new ExecPlugin(
            exec.GetProperty("apiVersion").GetString()!, exec.GetProperty("command").GetString()!, Strings(exec, "args"), Pairs(exec, "env"))
        {
            InstallHint = Text(exec, "installHint"),
            ProvideClusterInfo = exec.GetProperty("provideClusterInfo").GetBoolean(),
        });
    }

    private static void WriteOptional(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, ImmutableArray<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }

    private static void WritePairs(Utf8JsonWriter json, string name, ImmutableArray<KeyValuePair<string, string>> pairs)
    {
        json.WriteStartArray(name);
        foreach ((string key, string value) in pairs)
        {
            json.WriteStartArray();
            json.WriteStringValue(key);
            json.WriteStringValue(value);
            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    private static string? Text(JsonElement from, string name) => from.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;

    private static ImmutableArray<string> Strings(JsonElement from, string name) =>
        from.TryGetProperty(name, out JsonElement values) ? [.. values.EnumerateArray().Select(v => v.GetString()!)] : [];

    private static ImmutableArray<KeyValuePair<string, string>> Pairs(JsonElement from, string name) =>
        from.TryGetProperty(name, out JsonElement values)
            ? [.. values.EnumerateArray().Select(v => KeyValuePair.Create(v[0].GetString()!, v[1].GetString()!))]
            : [];
}
