using System.Diagnostics;
using System.Text.Json.Nodes;
using MultiCluster.TestSupport;

namespace MultiCluster.Simulator.Tests.Kubectl;

/// <summary>Real kubectl against a simulated cluster, one namespace per test.</summary>
public sealed class KubectlTests(KubectlCluster cluster) : IClassFixture<KubectlCluster>
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    [KubectlFact]
    public async Task Get_Deployment_InEveryOutputForm()
    {
        string ns = await NamespaceAsync("forms");
        await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 2)));
        await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=20s");

        string table = await cluster.OkAsync("get", "deploy", "-n", ns);
        Assert.Matches(@"^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2/2 +2 +2 +\d+s\n$", table);
        Assert.Matches(@"CONTAINERS +IMAGES +SELECTOR\n.*main +registry\.k8s\.io/pause:3\.9 +app=web", await cluster.OkAsync("get", "deploy", "-n", ns, "-o", "wide"));
        Assert.Equal("deployment.apps/web\n", await cluster.OkAsync("get", "deploy", "-n", ns, "-o", "name"));
        Assert.Equal("web", JsonNode.Parse(await cluster.OkAsync("get", "deploy", "web", "-n", ns, "-o", "json"))!["metadata"]!["name"]!.GetValue<string>());
        Assert.Contains("kind: Deployment", await cluster.OkAsync("get", "deploy", "web", "-n", ns, "-o", "yaml"), StringComparison.Ordinal);
        Assert.Equal("2", await cluster.OkAsync("get", "deploy", "web", "-n", ns, "-o", "jsonpath={.status.readyReplicas}"));
        Assert.Matches(@"web-[a-z0-9]+-[a-z0-9]+ +1/1 +Running +0 ", await cluster.OkAsync("get", "pods", "-n", ns));
    }

    [KubectlFact]
    public async Task Get_SelectorsAndChunks_SeeTheRightPods()
    {
        string ns = await NamespaceAsync("select");
        await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 5)));
        await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=20s");

        Assert.Equal(5, Lines(await cluster.OkAsync("get", "pods", "-A", "-l", "app=web", "--field-selector", $"metadata.namespace={ns},status.phase=Running", "--no-headers")));
        Assert.Equal(5, Lines(await cluster.OkAsync("get", "pods", "-n", ns, "--chunk-size=2", "--no-headers")));
        Assert.Contains("No resources found", (await cluster.RunAsync("get", "pods", "-n", ns, "-l", "app=none")).Error, StringComparison.Ordinal);
        string sorted = await cluster.OkAsync("get", "pods", "-n", ns, "--sort-by=.metadata.name", "-o", "custom-columns=N:.metadata.name,NODE:.spec.nodeName", "--no-headers");
        Assert.Equal(5, Lines(sorted));
    }

    [KubectlFact]
    public async Task Get_Watch_ShowsTheChanges()
    {
        string ns = await NamespaceAsync("watching");
        await cluster.OkAsync("create", "configmap", "one", "-n", ns, "--from-literal=k=v");
        using Process watch = cluster.Start("config", ["get", "cm", "-n", ns, "-w", "--output-watch-events", "--no-headers"]);
        try
        {
            await UntilLineAsync(watch, "ADDED", "one");
            await cluster.OkAsync("patch", "cm", "one", "-n", ns, "--type=merge", "-p", """{"data":{"second":"v"}}""");
            await UntilLineAsync(watch, "MODIFIED", "one");
            await cluster.OkAsync("delete", "cm", "one", "-n", ns);
            await UntilLineAsync(watch, "DELETED", "one");
        }
        finally
        {
            watch.Kill(entireProcessTree: true);
        }
    }

    [KubectlFact]
    public async Task Apply_ClientSide_CreatesThenLeavesThenConfigures()
    {
        string ns = await NamespaceAsync("apply");
        Assert.Equal("deployment.apps/web created\n", await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1))));
        await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=20s");
        Assert.Equal("deployment.apps/web unchanged\n", await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1))));
        Assert.Equal(1, (await cluster.RunAsync("diff", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 2)))).ExitCode);
        Assert.Equal("deployment.apps/web configured (server dry run)\n",
            await cluster.OkAsync("apply", "-n", ns, "--dry-run=server", "-f", cluster.Manifest(ns, Deployment("web", 2))));
        Assert.Equal("deployment.apps/web configured\n", await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 2))));
        Assert.Equal("2", await cluster.OkAsync("get", "deploy", "web", "-n", ns, "-o", "jsonpath={.spec.replicas}"));
    }

    [KubectlFact]
    public async Task Apply_ServerSide_TakesOverFromClientSideAndMeetsConflicts()
    {
        string ns = await NamespaceAsync("ssa");
        await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1)));
        Assert.Equal("deployment.apps/web serverside-applied\n", await cluster.OkAsync("apply", "--server-side", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1))));
        KubectlAnswer conflict = await cluster.RunAsync("apply", "--server-side", "--field-manager=other", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 3)));
        Assert.Equal(1, conflict.ExitCode);
        // An older kubectl leaves the fields also with its client-side manager, so that there are two conflicts and a longer text.
        Assert.Matches(@"conflicts? with ""kubectl"":\s+(- )?\.spec\.replicas", conflict.Error);
        await cluster.OkAsync("apply", "--server-side", "--force-conflicts", "--field-manager=other", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 3)));
        Assert.Equal("3", await cluster.OkAsync("get", "deploy", "web", "-n", ns, "-o", "jsonpath={.spec.replicas}"));
    }

    [KubectlFact]
    public async Task Apply_UnknownField_IsRefusedByValidation()
    {
        string ns = await NamespaceAsync("strict");
        KubectlAnswer answer = await cluster.RunAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1).Replace("replicas:", "replicass:", StringComparison.Ordinal)));

        Assert.Equal(1, answer.ExitCode);
        // An older kubectl checks by itself, with the schema of the server.
        Assert.Matches(@"unknown field ""(spec\.)?replicass""", answer.Error);
    }

    [KubectlFact]
    public async Task ScaleRestartWaitDelete_Deployment_RunThroughTheControllers()
    {
        string ns = await NamespaceAsync("life");
        await cluster.OkAsync("create", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1)));
        await cluster.OkAsync("wait", "--for=condition=Available", "deploy/web", "-n", ns, "--timeout=20s");
        Assert.Equal("deployment.apps/web scaled\n", await cluster.OkAsync("scale", "deploy", "web", "-n", ns, "--replicas=3"));
        Assert.Contains("successfully rolled out", await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=20s"), StringComparison.Ordinal);
        Assert.Equal("deployment.apps/web restarted\n", await cluster.OkAsync("rollout", "restart", "deploy/web", "-n", ns));
        await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=30s");
        Assert.Matches("(?s)1 .*2 ", await cluster.OkAsync("rollout", "history", "deploy/web", "-n", ns));
        Assert.Equal("2", await cluster.OkAsync("get", "deploy", "web", "-n", ns, "-o", @"jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}"));
        await cluster.OkAsync("rollout", "undo", "deploy/web", "-n", ns);
        await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=30s");
        Assert.Contains("deleted", await cluster.OkAsync("delete", "deploy", "web", "-n", ns, "--timeout=20s"), StringComparison.Ordinal);
        KubectlAnswer gone = await cluster.RunAsync("wait", "--for=delete", "pods", "-l", "app=web", "-n", ns, "--timeout=20s");
        // To an older kubectl it is an error when the pods went before it came.
        Assert.True(gone.ExitCode == 0 || gone.Error.Contains("no matching resources found", StringComparison.Ordinal), gone.Error);
        Assert.Equal("", await cluster.OkAsync("get", "pods", "-l", "app=web", "-n", ns, "-o", "name"));
        Assert.Contains("deleted", await cluster.OkAsync("delete", "namespace", ns, "--timeout=20s"), StringComparison.Ordinal);
    }

    [KubectlFact]
    public async Task OtherWorkloads_StatefulSetDaemonSetJobService_BecomeReady()
    {
        string ns = await NamespaceAsync("kinds");
        await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Workloads));
        await cluster.OkAsync("rollout", "status", "sts/db", "-n", ns, "--timeout=20s");
        await cluster.OkAsync("rollout", "status", "ds/agent", "-n", ns, "--timeout=20s");
        await cluster.OkAsync("wait", "--for=condition=complete", "job/once", "-n", ns, "--timeout=20s");

        Assert.Matches(@"db-0 +1/1 +Running(?s).*db-1 +1/1 +Running", await cluster.OkAsync("get", "pods", "-n", ns));
        Assert.Matches(@"agent +2 +2 +2 +2 +2 +<none> ", await cluster.OkAsync("get", "ds", "-n", ns));
        Assert.Matches(@"once +Complete +1/1 ", await cluster.OkAsync("get", "jobs", "-n", ns));
        Assert.Matches(@"db +ClusterIP +[0-9.]+ +<none> +80/TCP ", await cluster.OkAsync("get", "svc", "-n", ns));
        Assert.Matches(@"db-\S+ +IPv4 +8080 +10\.", await cluster.OkAsync("get", "endpointslices", "-n", ns));
        Assert.Matches("(?s)service/db.*daemonset.apps/agent.*statefulset.apps/db.*job.batch/once", await cluster.OkAsync("get", "all", "-n", ns));
    }

    [KubectlFact]
    public async Task Describe_DeploymentPodNode_ShowStateAndEvents()
    {
        string ns = await NamespaceAsync("describe");
        await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1)));
        await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=20s");

        Assert.Matches(@"(?s)Replicas: +1 desired \| 1 updated \| 1 total \| 1 available.*ScalingReplicaSet", await cluster.OkAsync("describe", "deploy", "web", "-n", ns));
        Assert.Matches(@"(?s)Status: +Running.*Successfully assigned.*Started container main", await cluster.OkAsync("describe", "pod", "-l", "app=web", "-n", ns));
        Assert.Matches(@"(?s)Roles: +<none>.*Ready +True.*Kubelet Version: +v1\.32\.13", await cluster.OkAsync("describe", "node", "node-a"));
        Assert.Matches(@"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE", await cluster.OkAsync("get", "events", "-n", ns));
    }

    [KubectlFact("1.26")]
    public async Task Events_ForADeployment_ShowWhatTheControllersDid()
    {
        string ns = await NamespaceAsync("events");
        await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1)));
        await cluster.OkAsync("rollout", "status", "deploy/web", "-n", ns, "--timeout=20s");

        Assert.Contains("ScalingReplicaSet", await cluster.OkAsync("events", "-n", ns, "--for", "deploy/web"), StringComparison.Ordinal);
    }

    [KubectlFact]
    public async Task LabelAnnotatePatch_ChangeTheObject()
    {
        string ns = await NamespaceAsync("edit");
        await cluster.OkAsync("create", "-n", ns, "-f", cluster.Manifest(ns, Deployment("web", 1)));

        Assert.Equal("deployment.apps/web labeled\n", await cluster.OkAsync("label", "deploy", "web", "tier=front", "-n", ns));
        Assert.Equal("deployment.apps/web annotated\n", await cluster.OkAsync("annotate", "deploy", "web", "note=hi", "-n", ns));
        await cluster.OkAsync("patch", "deploy", "web", "-n", ns, "-p", """{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}""");
        await cluster.OkAsync("patch", "deploy", "web", "-n", ns, "--type=json", "-p", """[{"op":"replace","path":"/spec/replicas","value":2}]""");
        await cluster.OkAsync("set", "image", "deploy/web", "main=registry.k8s.io/pause:3.10", "-n", ns);
        Assert.Equal("front hi 2 registry.k8s.io/pause:3.10 1", await cluster.OkAsync("get", "deploy", "web", "-n", ns, "-o",
            "jsonpath={.metadata.labels.tier} {.metadata.annotations.note} {.spec.replicas} {.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[0].value}"));
    }

    [KubectlFact]
    public async Task Explain_KindAndField_ShowTheSchema()
    {
        Assert.Matches(@"(?s)(GROUP: +apps\nKIND: +Deployment\nVERSION: +v1|KIND: +Deployment\nVERSION: +apps/v1)\n.*spec\s+<(DeploymentSpec|Object)>", await cluster.OkAsync("explain", "deployment"));
        Assert.Matches(@"(?s)(FIELD: containers <\[\]Container>|RESOURCE: containers <\[\]Object>).*image\s+<string>", await cluster.OkAsync("explain", "pod.spec.containers"));
        Assert.Contains("matchLabels", await cluster.OkAsync("explain", "deploy", "--recursive"), StringComparison.Ordinal);
    }

    [KubectlFact]
    public async Task CustomResource_AppliedAndListed_HasItsColumns()
    {
        string ns = await NamespaceAsync("custom");
        await cluster.OkAsync("apply", "-f", cluster.Manifest("crd", Definition));
        await cluster.OkAsync("wait", "--for=condition=Established", "crd/gadgets.example.com", "--timeout=20s");
        await cluster.OkAsync("apply", "-n", ns, "-f", cluster.Manifest("gadget", "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: one}\nspec: {size: 3}\n"));

        Assert.Matches(@"^NAME +SIZE\none +3\n$", await cluster.OkAsync("get", "gadgets", "-n", ns));
        Assert.Contains("size", await cluster.OkAsync("explain", "gadget.spec"), StringComparison.Ordinal);
        await cluster.OkAsync("delete", "crd", "gadgets.example.com", "--timeout=20s");
    }

    [KubectlFact]
    public async Task DiscoveryAndIdentity_AnswerAsExpected()
    {
        Assert.Matches(@"deployments +deploy +apps/v1 +true +Deployment", await cluster.OkAsync("api-resources"));
        Assert.Contains("apps/v1\n", await cluster.OkAsync("api-versions"), StringComparison.Ordinal);
        Assert.Matches(@"Server Version: .*v1\.32\.", await cluster.OkAsync("version"));
        Assert.Equal("ok", await cluster.OkAsync("get", "--raw", "/readyz"));
        Assert.Equal("yes\n", await cluster.OkAsync("auth", "can-i", "create", "deploy"));
        KubectlAnswer no = await cluster.RunAsReaderAsync("auth", "can-i", "create", "deploy");
        Assert.Equal((1, "no\n"), (no.ExitCode, no.Output));
        Assert.Contains("Error from server (Forbidden)", (await cluster.RunAsReaderAsync("delete", "node", "node-a")).Error, StringComparison.Ordinal);
        Assert.Contains("Error from server (NotFound): deployments.apps \"nonesuch\" not found", (await cluster.RunAsync("get", "deploy", "nonesuch")).Error, StringComparison.Ordinal);
        Assert.Contains("the server doesn't have a resource type \"nonesuches\"", (await cluster.RunAsync("get", "nonesuches")).Error, StringComparison.Ordinal);
    }

    [KubectlFact("1.28")]
    public async Task AuthWhoAmI_Reader_IsNamed() =>
        Assert.Matches(@"Username +reader", (await cluster.RunAsReaderAsync("auth", "whoami")).Output);

    [KubectlFact("1.31")]
    public async Task WaitForCreate_ServiceAccountOfANewNamespace_Ends()
    {
        await cluster.OkAsync("create", "namespace", "waiting");
        Assert.Equal("serviceaccount/default condition met\n", await cluster.OkAsync("wait", "--for=create", "serviceaccount/default", "-n", "waiting", "--timeout=10s"));
    }

    private async Task<string> NamespaceAsync(string name)
    {
        await cluster.OkAsync("create", "namespace", name);
        // Pods need the service account that the namespace is given a moment later.
        using var late = new CancellationTokenSource(Deadline);
        while ((await cluster.RunAsync("get", "serviceaccount", "default", "-n", name)).ExitCode != 0)
        {
            Assert.False(late.IsCancellationRequested, $"The namespace {name} was not given its service account.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, late.Token);
        }

        return name;
    }

    private static int Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;

    private static async Task UntilLineAsync(Process process, params string[] words)
    {
        while (await process.StandardOutput.ReadLineAsync().WaitAsync(Deadline) is { } line)
        {
            if (Array.TrueForAll(words, w => line.Contains(w, StringComparison.Ordinal)))
            {
                return;
            }
        }

        Assert.Fail($"The watch ended before {string.Join(' ', words)}: {await process.StandardError.ReadToEndAsync().WaitAsync(Deadline)}");
    }

    private static string Deployment(string name, int replicas) => $$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: {{name}}
        spec:
          replicas: {{replicas}}
          selector:
            matchLabels: {app: {{name}}}
          template:
            metadata:
              labels: {app: {{name}}}
            spec:
              containers:
              - name: main
                image: registry.k8s.io/pause:3.9
        """;

    private const string Workloads = """
        apiVersion: v1
        kind: Service
        metadata: {name: db}
        spec: {selector: {app: db}, ports: [{port: 80, targetPort: 8080}]}
        ---
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: db}
        spec:
          serviceName: db
          replicas: 2
          selector: {matchLabels: {app: db}}
          template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: db}]}}
        ---
        apiVersion: apps/v1
        kind: DaemonSet
        metadata: {name: agent}
        spec:
          selector: {matchLabels: {app: agent}}
          template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: main, image: agent}]}}
        ---
        apiVersion: batch/v1
        kind: Job
        metadata: {name: once}
        spec:
          template: {spec: {restartPolicy: Never, containers: [{name: main, image: job}]}}
        """;

    private const string Definition = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: gadgets.example.com}
        spec:
          group: example.com
          scope: Namespaced
          names: {plural: gadgets, singular: gadget, kind: Gadget}
          versions:
          - name: v1
            served: true
            storage: true
            additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  spec: {type: object, properties: {size: {type: integer, description: How large it is.}}}
        """;
}
