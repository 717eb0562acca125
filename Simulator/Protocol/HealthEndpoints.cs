using System.Text;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Answers <c>/readyz</c>, <c>/livez</c> and <c>/healthz</c> with the checks of a real server.</summary>
internal static class HealthEndpoints
{
    private static readonly string[] Hooks =
    [
        "start-apiserver-admission-initializer", "generic-apiserver-start-informers", "priority-and-fairness-config-consumer",
        "priority-and-fairness-filter", "storage-object-count-tracker-hook", "start-apiextensions-informers", "start-apiextensions-controllers",
        "crd-informer-synced", "start-system-namespaces-controller", "start-cluster-authentication-info-controller",
        "start-kube-apiserver-identity-lease-controller", "start-kube-apiserver-identity-lease-garbage-collector",
        "start-legacy-token-tracking-controller", "start-service-ip-repair-controllers", "rbac/bootstrap-roles",
        "scheduling/bootstrap-system-priority-classes", "priority-and-fairness-config-producer", "bootstrap-controller",
        "aggregator-reload-proxy-client-cert", "start-kube-aggregator-informers", "apiservice-status-local-available-controller",
        "apiservice-status-remote-available-controller", "apiservice-registration-controller", "apiservice-wait-for-first-sync",
        "apiservice-discovery-controller", "kube-apiserver-autoregistration",
    ];

    /// <summary>Answers, or returns false when the path is none of these.</summary>
    public static async Task<bool> TryAnswerAsync(Exchange exchange)
    {
        string[] parts = exchange.Target.Path.Split('/', 3, StringSplitOptions.RemoveEmptyEntries);
        if (parts is not [("readyz" or "livez" or "healthz") and var endpoint, ..])
        {
            return false;
        }

        string[] checks = ChecksOf(endpoint);
        if (parts.Length > 1)
        {
            string check = string.Join('/', parts[1..]);
            if (!checks.Contains(check))
            {
                await exchange.WriteNotFoundPathAsync();
                return true;
            }

            bool fails = exchange.Server.FailingChecks.Contains(check);
            await exchange.WriteTextAsync(fails ? $"internal server error: {check} failed: reason withheld\n" : "ok", fails ? 500 : 200, noSniff: fails);
            return true;
        }

        string[] excluded = [.. exchange.Http.Request.Query["exclude"].OfType<string>()];
        string[] failing = [.. checks.Where(c => exchange.Server.FailingChecks.Contains(c) && !excluded.Contains(c))];
        bool verbose = exchange.Http.Request.Query.ContainsKey("verbose");
        if (failing.Length == 0 && !verbose)
        {
            await exchange.WriteTextAsync("ok");
            return true;
        }

        var text = new StringBuilder();
        foreach (string check in checks)
        {
            text.Append(excluded.Contains(check) ? $"[+]{check} excluded: ok\n" : failing.Contains(check) ? $"[-]{check} failed: reason withheld\n" : $"[+]{check} ok\n");
        }

        text.Append(endpoint).Append(failing.Length == 0 ? " check passed\n" : " check failed\n");
        await exchange.WriteTextAsync(text.ToString(), failing.Length == 0 ? 200 : 500);
        return true;
    }

    private static string[] ChecksOf(string endpoint)
    {
        IEnumerable<string> checks = endpoint == "readyz" ? ["ping", "log", "etcd", "etcd-readiness", "informer-sync"] : ["ping", "log", "etcd"];
        checks = checks.Concat(Hooks.Select(h => "poststarthook/" + h)).Append("autoregister-completion")
            .Append("poststarthook/apiservice-openapi-controller").Append("poststarthook/apiservice-openapiv3-controller");
        return endpoint == "readyz" ? [.. checks, "shutdown"] : [.. checks];
    }
}
