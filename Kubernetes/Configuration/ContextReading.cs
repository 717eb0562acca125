using System.Collections.Immutable;
using System.Text;
using YamlDotNet.RepresentationModel;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>Reads one context of a kubeconfig and collects all that is wrong with it.</summary>
internal sealed class ContextReading(string source, string context, KubeconfigOptions options, DateTimeOffset now)
{
    // The largest file a kubeconfig refers to is a CA bundle.
    private const int MaxFileBytes = 4 * 1024 * 1024;

    private readonly ImmutableArray<KubeconfigFault>.Builder _faults = ImmutableArray.CreateBuilder<KubeconfigFault>();

    public KubeconfigContext Read(
        YamlMappingNode body, Dictionary<string, YamlMappingNode> clusters, Dictionary<string, YamlMappingNode> users)
    {
        string clusterName = Text(body, "cluster") ?? "";
        string userName = Text(body, "user") ?? "";
        ClusterConnection? connection = null;
        if (clusterName.Length == 0)
        {
            Fault("cluster", "The context names no cluster.");
        }
        else if (!clusters.TryGetValue(clusterName, out YamlMappingNode? cluster))
        {
            Fault("cluster", $"The context names the cluster '{clusterName}', which is not in clusters.");
        }
        else
        {
            connection = ReadCluster(cluster, $"clusters[{clusterName}]");
        }

        if (userName.Length > 0)
        {
            if (!users.TryGetValue(userName, out YamlMappingNode? user))
            {
                Fault("user", $"The context names the user '{userName}', which is not in users.");
            }
            else
            {
                string at = $"users[{userName}]";
                (KubeCredentials credentials, Impersonation? acting) = ReadUser(user, at);
                connection = connection is null ? null : connection with { Credentials = credentials, Impersonation = acting };
            }
        }

        return new KubeconfigContext(context, _faults.Count == 0 ? connection : null, _faults.ToImmutable())
        {
            Cluster = clusterName,
            User = userName,
            Namespace = Text(body, "namespace"),
        };
    }

    private ClusterConnection? ReadCluster(YamlMappingNode cluster, string at)
    {
        if (ConnectionChecks.CheckServer(Text(cluster, "server"), out Uri? server) is { } fault)
        {
            Fault($"{at}.server", fault);
        }

        string? authority = ReadPem(cluster, at, "certificate-authority");
        if (authority is not null && ConnectionChecks.CheckAuthority(authority) is { } authorityFault)
        {
            Fault(FieldOf(cluster, at, "certificate-authority"), authorityFault);
        }

        bool insecure = Flag(cluster, at, "insecure-skip-tls-verify");
        if (insecure && authority is not null)
        {
            Fault($"{at}.insecure-skip-tls-verify", "It excludes a certificate authority; remove one of them.");
        }

        Uri? proxy = null;
        if (Text(cluster, "proxy-url") is { } proxyText && ConnectionChecks.CheckProxy(proxyText, out proxy) is { } proxyFault)
        {
            Fault($"{at}.proxy-url", proxyFault);
        }

        string? serverName = Text(cluster, "tls-server-name") is { Length: > 0 } given ? given : null;
        if (serverName is not null && ConnectionChecks.CheckServerName(serverName) is { } nameFault)
        {
            Fault($"{at}.tls-server-name", nameFault);
        }

        return server is null ? null : new ClusterConnection(server)
        {
            CertificateAuthorityPem = authority,
            InsecureSkipTlsVerify = insecure,
            TlsServerName = serverName,
            Proxy = proxy,
        };
    }

    private (KubeCredentials Credentials, Impersonation? Acting) ReadUser(YamlMappingNode user, string at)
    {
        if (Text(user, "username") is not null || Text(user, "password") is not null)
        {
            Fault($"{at}.username", "Basic authentication is not supported, and API servers have dropped it; use a token or a client certificate.");
        }

        if (Has(user, "auth-provider"))
        {
            Fault($"{at}.auth-provider", "Auth providers are not supported, and kubectl has dropped them; use an exec plugin, a token or a client certificate.");
        }

        return (new KubeCredentials(ReadCertificate(user, at), ReadToken(user, at)), ReadImpersonation(user, at));
    }

    private ClientCertificate? ReadCertificate(YamlMappingNode user, string at)
    {
        string? certificate = ReadPem(user, at, "client-certificate");
        string? key = ReadPem(user, at, "client-key");
        if (certificate is null && key is null)
        {
            if (HasEither(user, "client-certificate") != HasEither(user, "client-key"))
            {
                Fault(at, "A client certificate and its key are needed together.");
            }

            return null;
        }

        if (certificate is null || key is null)
        {
            // When the other is there but could not be read, its own fault says so already.
            if (!HasEither(user, certificate is null ? "client-certificate" : "client-key"))
            {
                Fault(FieldOf(user, at, certificate is null ? "client-key" : "client-certificate"),
                    certificate is null ? "The key has no client certificate beside it." : "The client certificate has no key beside it.");
            }

            return null;
        }

        var pair = new ClientCertificate(certificate, key);
        if (ConnectionChecks.CheckCertificate(pair, now) is { } fault)
        {
            Fault(FieldOf(user, at, fault.StartsWith("The client key", StringComparison.Ordinal) ? "client-key" : "client-certificate"), fault);
        }

        return pair;
    }

    private TokenSource? ReadToken(YamlMappingNode user, string at)
    {
        // Where both are given, kubectl prefers the file, because it is the one that is renewed.
        if (Text(user, "tokenFile") is { Length: > 0 } file)
        {
            if (PathOf(file, $"{at}.tokenFile") is not { } path)
            {
                return null;
            }

            if (ReadFile(path, $"{at}.tokenFile") is { } content && ConnectionChecks.CheckToken(content) is { } fault)
            {
                Fault($"{at}.tokenFile", fault);
            }

            return new TokenSource.File(path);
        }

        if (Text(user, "token") is { Length: > 0 } token)
        {
            if (ConnectionChecks.CheckToken(token) is { } fault)
            {
                Fault($"{at}.token", fault);
            }

            return new TokenSource.Fixed(token.Trim());
        }

        return Map(user, "exec") is { } exec ? ReadExec(exec, $"{at}.exec") : null;
    }

    private TokenSource.Exec? ReadExec(YamlMappingNode exec, string at)
    {
        string command = Text(exec, "command") ?? "";
        if (!options.AllowExec)
        {
            Fault(at, $"The credentials come from the exec plugin '{command}', which would run a program on this host. Use a token or a client certificate, or, to trust it, {options.ExecSwitch}.");
            return null;
        }

        string version = Text(exec, "apiVersion") ?? "";
        if (version is not ("client.authentication.k8s.io/v1" or "client.authentication.k8s.io/v1beta1"))
        {
            Fault($"{at}.apiVersion", "It must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1.");
        }

        if (Text(exec, "interactiveMode") == "Always")
        {
            Fault($"{at}.interactiveMode", "The plugin wants a terminal, and there is none here; use IfAvailable or Never.");
        }

        if (command.Length == 0)
        {
            Fault($"{at}.command", "The exec plugin names no command.");
            return null;
        }

        // As for kubectl: with a slash it is a path from the file's folder, without it is looked up in PATH.
        if (command.Contains('/', StringComparison.Ordinal) && !Path.IsPathRooted(command) && options.BaseDirectory is { } folder)
        {
            command = Path.GetFullPath(command, folder);
        }

        return new TokenSource.Exec(new ExecPlugin(version, command, [.. Sequence(exec, "args").OfType<YamlScalarNode>().Select(n => n.Value ?? "")],
            [.. Sequence(exec, "env").OfType<YamlMappingNode>().Select(n => KeyValuePair.Create(Text(n, "name") ?? "", Text(n, "value") ?? "")).Where(p => p.Key.Length > 0)])
        {
            InstallHint = Text(exec, "installHint"),
            ProvideClusterInfo = Flag(exec, at, "provideClusterInfo"),
        });
    }

    private Impersonation? ReadImpersonation(YamlMappingNode user, string at)
    {
        string? name = Text(user, "as");
        string? uid = Text(user, "as-uid");
        ImmutableArray<string> groups = [.. Sequence(user, "as-groups").OfType<YamlScalarNode>().Select(n => n.Value ?? "")];
        ImmutableArray<KeyValuePair<string, string>>.Builder extra = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>();
        foreach ((YamlNode key, YamlNode values) in Map(user, "as-user-extra") ?? [])
        {
            foreach (YamlScalarNode value in (values as YamlSequenceNode)?.OfType<YamlScalarNode>() ?? [])
            {
                extra.Add(KeyValuePair.Create(((YamlScalarNode)key).Value ?? "", value.Value ?? ""));
            }
        }

        if (string.IsNullOrEmpty(name))
        {
            if (uid is not null || !groups.IsEmpty || extra.Count > 0)
            {
                Fault($"{at}.as", "Impersonation by uid, groups or extra needs a user (as).");
            }

            return null;
        }

        string?[] all = [name, uid, .. groups, .. extra.SelectMany(e => (string?[])[e.Key, e.Value])];
        if (all.Any(text => text is not null && text.AsSpan().ContainsAnyInRange('\0', '\u001f')))
        {
            Fault($"{at}.as", "Impersonation holds a control character.");
            return null;
        }

        return new Impersonation(name, uid, groups, extra.ToImmutable());
    }

    /// <summary>The inline data where there is any, as kubectl prefers it, else the file's content.</summary>
    private string? ReadPem(YamlMappingNode from, string at, string field)
    {
        if (Text(from, $"{field}-data") is { Length: > 0 } data)
        {
            byte[] bytes = new byte[data.Length];
            if (!Convert.TryFromBase64String(data, bytes, out int count))
            {
                Fault($"{at}.{field}-data", "It is not base64.");
                return null;
            }

            return Encoding.UTF8.GetString(bytes, 0, count);
        }

        return Text(from, field) is { Length: > 0 } file && PathOf(file, $"{at}.{field}") is { } path ? ReadFile(path, $"{at}.{field}") : null;
    }

    private string? PathOf(string file, string at)
    {
        if (options.BaseDirectory is { } folder)
        {
            return Path.GetFullPath(file, folder);
        }

        Fault(at, "It refers to a file, which this server must not read; give the content inline instead.");
        return null;
    }

    private string? ReadFile(string path, string at)
    {
        try
        {
            if (new FileInfo(path).Length <= MaxFileBytes)
            {
                return File.ReadAllText(path);
            }

            Fault(at, $"The file {path} is larger than 4 MiB.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            Fault(at, $"The file {path} does not exist.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Fault(at, $"The file {path} cannot be read ({(e is UnauthorizedAccessException ? "access denied" : e.GetType().Name)}).");
        }

        return null;
    }

    private bool Flag(YamlMappingNode from, string at, string field)
    {
        if (Text(from, field) is not { } text)
        {
            return false;
        }

        if (!bool.TryParse(text, out bool value))
        {
            Fault($"{at}.{field}", "It must be true or false.");
        }

        return value;
    }

    private void Fault(string? field, string problem) => _faults.Add(new KubeconfigFault(source, context, field, problem));

    private static string FieldOf(YamlMappingNode from, string at, string field) => Has(from, $"{field}-data") ? $"{at}.{field}-data" : $"{at}.{field}";

    private static bool Has(YamlMappingNode from, string field) => from.Children.ContainsKey(new YamlScalarNode(field));

    private static bool HasEither(YamlMappingNode from, string field) =>
        Text(from, field) is { Length: > 0 } || Text(from, $"{field}-data") is { Length: > 0 };

    private static string? Text(YamlMappingNode from, string field) => Kubeconfig.Scalar(from, field);

    private static YamlMappingNode? Map(YamlMappingNode from, string field) =>
        from.Children.TryGetValue(new YamlScalarNode(field), out YamlNode? node) ? node as YamlMappingNode : null;

    private static IEnumerable<YamlNode> Sequence(YamlMappingNode from, string field) =>
        from.Children.TryGetValue(new YamlScalarNode(field), out YamlNode? node) && node is YamlSequenceNode sequence ? sequence.Children : [];
}
