using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Security;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Answers the subresources whose bodies are not the object itself: scale, binding, eviction, token, log and the rest.</summary>
internal static class SubresourceHandlers
{
    private const long MinTokenSeconds = 600;

    /// <summary>Answers a request on a subresource that the resource has and that allows the verb.</summary>
    public static Task RunAsync(Exchange exchange) => (exchange.Target.Subresource, exchange.Target.Verb) switch
    {
        ("status" or "ephemeralcontainers" or "approval", "get") => ReadHandlers.GetAsync(exchange),
        ("status" or "ephemeralcontainers" or "approval", "update") => WriteHandlers.UpdateAsync(exchange),
        ("status" or "ephemeralcontainers" or "approval", "patch") => PatchHandler.RunAsync(exchange),
        ("finalize", _) => FinalizeAsync(exchange),
        ("scale", "get") => exchange.WriteAsync(ScaleOf(exchange.Resource, Find(exchange).ToTree()), Negotiation.Of(exchange.Http.Request)),
        ("scale", _) => WriteScaleAsync(exchange),
        ("binding", "create") => BindAsync(exchange),
        ("eviction", "create") => EvictAsync(exchange),
        ("token", "create") => CreateTokenAsync(exchange),
        ("log", "get") => LogAsync(exchange),
        ("exec" or "attach" or "portforward", _) => throw Refusal.BadRequest("Upgrade request required"),
        _ => throw Refusal.NotServed(),
    };

    /// <summary>The Scale of a workload.</summary>
    public static JsonObject ScaleOf(ApiResource resource, JsonObject tree)
    {
        string[] spec = ["spec", "replicas"];
        string[] status = ["status", "replicas"];
        string? selector = null;
        if (resource.Custom?.Scale is { } paths)
        {
            (spec, status) = (paths.SpecReplicas.Split('.'), paths.StatusReplicas.Split('.'));
            selector = paths.LabelSelector is null ? null : tree.Text(paths.LabelSelector.Split('.'));
        }
        else
        {
            var labels = (tree.At("spec", "selector", "matchLabels") ?? tree.At("spec", "selector")) as JsonObject;
            selector = labels is null ? null : string.Join(',', labels.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $"{p.Key}={p.Value}"));
        }

        var metadata = new JsonObject();
        foreach (string key in (string[])["name", "namespace", "uid", "resourceVersion", "creationTimestamp"])
        {
            if (tree.At("metadata", key) is { } value)
            {
                metadata[key] = value.DeepClone();
            }
        }

        var scaleSpec = new JsonObject();
        if (tree.Number(spec) is { } wanted and not 0)
        {
            scaleSpec["replicas"] = wanted;
        }

        var scaleStatus = new JsonObject { ["replicas"] = tree.Number(status) ?? 0 };
        if (!string.IsNullOrEmpty(selector))
        {
            scaleStatus["selector"] = selector;
        }

        return new JsonObject
        {
            ["kind"] = "Scale",
            ["apiVersion"] = "autoscaling/v1",
            ["metadata"] = metadata,
            ["spec"] = scaleSpec,
            ["status"] = scaleStatus,
        };
    }

    private static StoredObject Find(Exchange exchange) =>
        exchange.Server.Registry.Get(exchange.Resource, ReadHandlers.ScopeOf(exchange), exchange.Target.Name);

    private static async Task WriteScaleAsync(Exchange exchange)
    {
        ApiResource resource = exchange.Resource;
        Func<JsonObject, JsonObject> change;
        WriteOptions options;
        if (exchange.Target.Verb == "patch")
        {
            string type = PatchHandler.TypeOf(exchange, resource);
            options = PatchHandler.CheckOptions(exchange, type);
            change = PatchHandler.Reader(resource, type, await RequestBody.ReadAsync(exchange.Http));
        }
        else
        {
            options = WriteHandlers.OptionsOf(exchange, "UpdateOptions");
            JsonObject body = await RequestBody.ReadOptionsAsync(exchange, "Scale") ?? [];
            change = _ => body;
        }

        string name = exchange.Target.Name;
        string[] path = resource.Custom?.Scale?.SpecReplicas.Split('.') ?? ["spec", "replicas"];
        JsonObject stored = exchange.Server.Registry.Update(
            resource, ReadHandlers.ScopeOf(exchange), name,
            live =>
            {
                JsonObject scale = change(ScaleOf(resource, live));
                long replicas = scale.Number("spec", "replicas") ?? 0;
                if (replicas < 0)
                {
                    throw Refusal.Invalid("autoscaling", "Scale", name, FieldCause.Invalid("spec.replicas", $"{replicas}", "must be greater than or equal to 0"));
                }

                JsonObject parent = live;
                foreach (string step in path[..^1])
                {
                    parent = parent.Section(step);
                }

                parent[path[^1]] = replicas;
                JsonObject metadata = live.Section("metadata");
                metadata.Remove("resourceVersion");
                if (scale.Text("metadata", "resourceVersion") is { Length: > 0 } revision)
                {
                    metadata["resourceVersion"] = revision;
                }

                return live;
            },
            options with { IsPatch = true });
        await exchange.WriteAsync(ScaleOf(resource, stored), Negotiation.Of(exchange.Http.Request));
    }

    private static async Task BindAsync(Exchange exchange)
    {
        WriteOptions options = WriteHandlers.OptionsOf(exchange, "CreateOptions");
        JsonObject binding = await RequestBody.ReadOptionsAsync(exchange, "Binding") ?? [];
        string node = binding.Text("target", "name") ?? "";
        string name = exchange.Target.Name;
        PodBinding.Apply(exchange.Server.Registry, exchange.Resource, ReadHandlers.ScopeOf(exchange), name, node, options);
        await WriteSuccessAsync(exchange);
    }

    private static async Task EvictAsync(Exchange exchange)
    {
        JsonObject eviction = await RequestBody.ReadOptionsAsync(exchange, "Eviction") ?? [];
        ObjectRegistry registry = exchange.Server.Registry;
        StoredObject pod = Find(exchange);
        registry.Store.Transaction(() =>
        {
            CheckBudgets(registry, pod);
            registry.Delete(exchange.Resource, pod.Namespace, pod.Name, new DeleteRequest
            {
                GracePeriodSeconds = eviction.Number("deleteOptions", "gracePeriodSeconds"),
                DryRun = exchange.Http.Request.Query.ContainsKey("dryRun") || eviction.At("deleteOptions", "dryRun") is not null,
            });
            return 0;
        });
        await WriteSuccessAsync(exchange);
    }

    /// <summary>Refuses an eviction that a disruption budget forbids.</summary>
    /// <exception cref="StatusException">429.</exception>
    private static void CheckBudgets(ObjectRegistry registry, StoredObject pod)
    {
        (OrderedObjects budgets, _) = registry.Store.Snapshot(ResourceName.PodDisruptionBudgets);
        (OrderedObjects pods, _) = registry.Store.Snapshot(ResourceName.Pods);
        foreach (StoredObject stored in budgets.Range(pod.Namespace))
        {
            JsonObject budget = stored.ToTree();
            if (budget.At("spec", "selector", "matchLabels") is not JsonObject labels || !Selected(pod))
            {
                continue;
            }

            StoredObject[] selected = [.. pods.Range(pod.Namespace).Where(Selected)];
            int healthy = selected.Count(IsReady);
            int needed = Needed(budget, selected.Length);
            if (IsReady(pod) && healthy - 1 < needed)
            {
                throw new StatusException(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
                {
                    Details = new JsonObject
                    {
                        ["causes"] = new JsonArray(new JsonObject
                        {
                            ["reason"] = "DisruptionBudget",
                            ["message"] = $"The disruption budget {stored.Name} needs {needed} healthy pods and has {healthy} currently",
                        }),
                    },
                };
            }

            bool Selected(StoredObject candidate) => labels.All(l => candidate.Labels.Any(c => c.Key == l.Key && c.Value == l.Value?.ToString()));
        }
    }

    private static bool IsReady(StoredObject pod) => pod.IsScenery
        || (pod.ToTree().At("status", "conditions") as JsonArray ?? []).Any(c => c.Text("type") == "Ready" && c.Text("status") == "True");

    private static int Needed(JsonObject budget, int count)
    {
        JsonNode? least = budget.At("spec", "minAvailable");
        JsonNode? most = budget.At("spec", "maxUnavailable");
        return least is not null ? Scaled(least) : Math.Max(0, count - (most is null ? count : Scaled(most)));

        int Scaled(JsonNode value) => value is JsonValue text && text.TryGetValue(out string? share) && share.EndsWith('%')
            ? (int)Math.Ceiling(count * double.Parse(share[..^1], System.Globalization.CultureInfo.InvariantCulture) / 100)
            : int.Parse(value.ToString(), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static async Task CreateTokenAsync(Exchange exchange)
    {
        JsonObject request = await RequestBody.ReadOptionsAsync(exchange, "TokenRequest") ?? [];
        StoredObject account = Find(exchange);
        long seconds = request.Number("spec", "expirationSeconds") ?? 3600;
        if (seconds < MinTokenSeconds)
        {
            throw Refusal.Invalid(
                "authentication.k8s.io", "TokenRequest", "",
                FieldCause.Invalid("spec.expirationSeconds", $"{seconds}", "may not specify a duration less than 10 minutes"));
        }

        DateTimeOffset until = exchange.Server.Time.GetUtcNow().AddSeconds(seconds);
        (string ns, string name) = (account.Namespace, account.Name);
        var user = new UserInfo(
            $"system:serviceaccount:{ns}:{name}", account.Field(["metadata", "uid"]),
            ["system:serviceaccounts", $"system:serviceaccounts:{ns}", "system:authenticated"]);
        string token = exchange.Server.Authenticator.IssueToken(user, until);
        JsonArray audiences = request.At("spec", "audiences")?.DeepClone() as JsonArray ?? ["https://kubernetes.default.svc.cluster.local"];
        await exchange.WriteAsync(
            new JsonObject
            {
                ["kind"] = "TokenRequest",
                ["apiVersion"] = "authentication.k8s.io/v1",
                ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns, ["creationTimestamp"] = exchange.Server.Registry.Now },
                ["spec"] = new JsonObject { ["audiences"] = audiences, ["expirationSeconds"] = seconds, ["boundObjectRef"] = null },
                ["status"] = new JsonObject { ["token"] = token, ["expirationTimestamp"] = ObjectRegistry.Timestamp(until) },
            },
            Negotiation.Of(exchange.Http.Request), 201);
    }

    private static async Task LogAsync(Exchange exchange)
    {
        JsonObject pod = Find(exchange).ToTree();
        string name = exchange.Target.Name;
        string asked = exchange.Http.Request.Query["container"].ToString();
        string[] containers = [.. ((pod.At("spec", "containers") as JsonArray) ?? []).Select(c => c.Text("name") ?? "")];
        if (asked.Length > 0 && !containers.Contains(asked))
        {
            throw Refusal.BadRequest($"container {asked} is not valid for pod {name}");
        }

        if (asked.Length == 0 && containers.Length > 1)
        {
            throw Refusal.BadRequest($"a container name must be specified for pod {name}, choose one of: [{string.Join(' ', containers)}]");
        }

        if (string.IsNullOrEmpty(pod.Text("spec", "nodeName")))
        {
            exchange.Http.Response.StatusCode = 204;
            return;
        }

        if (pod.Text("status", "phase") is not ("Running" or "Succeeded" or "Failed"))
        {
            string container = asked.Length > 0 ? asked : containers[0];
            string ns = exchange.Target.Namespace;
            throw new StatusException(
                500, null,
                $"Get \"https://127.0.0.1:1/containerLogs/{ns}/{name}/{container}\": dial tcp 127.0.0.1:1: connect: connection refused");
        }

        await exchange.WriteBytesAsync(
            System.Text.Encoding.UTF8.GetBytes($"{pod.Text("status", "startTime")} simulated container {(asked.Length > 0 ? asked : containers[0])} of pod {name} started\n"),
            "text/plain", 200);
    }

    private static async Task FinalizeAsync(Exchange exchange)
    {
        JsonObject body = await RequestBody.ReadObjectAsync(exchange);
        JsonArray? finalizers = body.At("spec", "finalizers") as JsonArray;
        JsonObject stored = exchange.Server.Registry.Update(
            exchange.Resource, "", exchange.Target.Name,
            live =>
            {
                live["spec"] = finalizers is { Count: > 0 } ? new JsonObject { ["finalizers"] = finalizers.DeepClone() } : [];
                return live;
            },
            new WriteOptions("namespace-controller") { Subresource = "finalize", IsPatch = true });
        await exchange.WriteObjectAsync(stored);
    }

    private static Task WriteSuccessAsync(Exchange exchange) => exchange.WriteAsync(
        new JsonObject
        {
            ["kind"] = "Status",
            ["apiVersion"] = "v1",
            ["metadata"] = new JsonObject(),
            ["status"] = "Success",
            ["code"] = 201,
        },
        Negotiation.Of(exchange.Http.Request), 201);
}
