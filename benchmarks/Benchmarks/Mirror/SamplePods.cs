using System.Text;
using MultiCluster.Kubernetes.Discovery;

namespace MultiCluster.Benchmarks.Mirror;

/// <summary>Running pods as a kube-apiserver lists them: ten per ReplicaSet, 8.3 KB each of which half is <c>managedFields</c>.</summary>
/// <remarks>Every pod has its own name, uid, node, addresses, times and container id; every ReplicaSet its own name, image, labels and settings.</remarks>
internal sealed class SamplePods
{
    public const int PerOwner = 10;
    private const string Hex = "0123456789abcdef";
    private const string Suffix = "bcdfghjklmnpqrstvwxz2456789";

    public static readonly ResourceType Type = new("", "v1", "pods", "Pod", Namespaced: true);

    private byte[] _buffer = new byte[16 * 1024];
    private string _head = "";
    private int _owner = -1;

    /// <summary>The pod with this number, valid until the next call. Numbers in order give a list in the API server's order.</summary>
    public ReadOnlySpan<byte> this[int number]
    {
        get
        {
            int owner = number / PerOwner;
            if (owner != _owner)
            {
                _owner = owner;
                _head = Template(owner);
            }

            return Fill(number);
        }
    }

    public static string NamespaceOf(int number) => $"team-{number / 2000:d4}";

    /// <summary>Name of a pod.</summary>
    public static string NameOf(int number)
    {
        var random = new Random(number);
        return $"app-{number / PerOwner % 200:d3}-{Word(new Random(-1 - number / PerOwner), Hex, 10)}-{number % PerOwner}{Word(random, Suffix, 4)}";
    }

    private static string Word(Random random, string alphabet, int length) => string.Create(length, (random, alphabet), static (text, state) =>
    {
        for (int i = 0; i < text.Length; i++)
        {
            text[i] = state.alphabet[state.random.Next(state.alphabet.Length)];
        }
    });

    private ReadOnlySpan<byte> Fill(int number)
    {
        // The template has one character per value that differs between siblings; everything else is copied.
        var random = new Random(number);
        string name = NameOf(number);
        string uid = $"{Word(random, Hex, 8)}-{Word(random, Hex, 4)}-4{Word(random, Hex, 3)}-a{Word(random, Hex, 3)}-{Word(random, Hex, 12)}";
        string token = Word(random, Suffix, 5);
        string node = $"node-{random.Next(200):d3}";
        string container = Word(random, Hex, 64);
        string podIp = $"10.{random.Next(4)}.{random.Next(256)}.{random.Next(256)}";
        string hostIp = $"192.168.{random.Next(4)}.{random.Next(256)}";
        int second = random.Next(86_400 - 60);
        int at = 0;
        foreach (char c in _head)
        {
            string? value = c switch
            {
                '\u0001' => name,
                '\u0002' => uid,
                '\u0003' => token,
                '\u0004' => node,
                '\u0005' => container,
                '\u0006' => podIp,
                '\u0007' => hostIp,
                '\u000e' => TimeText(second),
                '\u000f' => TimeText(second + 1),
                '\u0010' => TimeText(second + 4),
                '\u0011' => (1_000_000 + number * 3).ToString(System.Globalization.CultureInfo.InvariantCulture),
                _ => null,
            };
            if (value is null)
            {
                _buffer[at++] = (byte)c;
            }
            else
            {
                at += Encoding.ASCII.GetBytes(value, _buffer.AsSpan(at));
            }
        }

        return _buffer.AsSpan(0, at);
    }

    private static string TimeText(int second) => $"2026-11-20T{second / 3600:d2}:{second / 60 % 60:d2}:{second % 60:d2}Z";

    private static string Template(int owner)
    {
        var random = new Random(-1 - owner);
        string hash = Word(random, Hex, 10);
        string app = $"app-{owner % 200:d3}";
        string rs = $"{app}-{hash}";
        string ownerUid = $"{Word(random, Hex, 8)}-{Word(random, Hex, 4)}-4{Word(random, Hex, 3)}-b{Word(random, Hex, 3)}-{Word(random, Hex, 12)}";
        string digest = Word(random, Hex, 64);
        string ns = NamespaceOf(owner * PerOwner);
        var env = new StringBuilder();
        for (int i = 0; i < 8; i++)
        {
            env.Append($$$"""{{{(i == 0 ? "" : ",")}}}{"name":"SETTING_{{{i}}}","value":"{{{Word(random, Suffix, 6 + i * 2)}}}"}""");
        }

        string managedContainer = string.Join(",", Enumerable.Range(0, 8).Select(i => $$$""" "k:{\"name\":\"SETTING_{{{i}}}\"}":{".":{},"f:name":{},"f:value":{}}""".Trim()));
        string managed = "[" + $$$$$$$$$"""{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"{{{{{{{{{'\u000e'}}}}}}}}}","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:checksum/config":{},"f:prometheus.io/port":{},"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/instance":{},"f:app.kubernetes.io/name":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"{{{{{{{{{ownerUid}}}}}}}}}\"}":{}}},"f:spec":{"f:affinity":{},"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:args":{},"f:command":{},"f:env":{".":{},{{{{{{{{{managedContainer}}}}}}}}}},"f:image":{},"f:imagePullPolicy":{},"f:livenessProbe":{".":{},"f:failureThreshold":{},"f:httpGet":{".":{},"f:path":{},"f:port":{},"f:scheme":{}},"f:periodSeconds":{},"f:successThreshold":{},"f:timeoutSeconds":{}},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}},"k:{\"containerPort\":9090,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}},"f:readinessProbe":{".":{},"f:failureThreshold":{},"f:httpGet":{".":{},"f:path":{},"f:port":{},"f:scheme":{}},"f:periodSeconds":{},"f:successThreshold":{},"f:timeoutSeconds":{}},"f:resources":{".":{},"f:limits":{".":{},"f:cpu":{},"f:memory":{}},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}},"f:securityContext":{".":{},"f:allowPrivilegeEscalation":{},"f:capabilities":{".":{},"f:drop":{}},"f:readOnlyRootFilesystem":{},"f:runAsNonRoot":{}},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{},"f:volumeMounts":{".":{},"k:{\"mountPath\":\"/etc/config\"}":{".":{},"f:mountPath":{},"f:name":{}}}}},"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:serviceAccount":{},"f:serviceAccountName":{},"f:terminationGracePeriodSeconds":{},"f:volumes":{".":{},"k:{\"name\":\"config\"}":{".":{},"f:configMap":{".":{},"f:defaultMode":{},"f:name":{}},"f:name":{}}}}}},{"manager":"kube-scheduler","operation":"Update","apiVersion":"v1","time":"{{{{{{{{{'\u000e'}}}}}}}}}","fieldsType":"FieldsV1","fieldsV1":{"f:status":{"f:conditions":{".":{},"k:{\"type\":\"PodScheduled\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}}}},"subresource":"status"},{"manager":"kubelet","operation":"Update","apiVersion":"v1","time":"{{{{{{{{{'\u0010'}}}}}}}}}","fieldsType":"FieldsV1","fieldsV1":{"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Initialized\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"PodReadyToStartContainers\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},"f:hostIPs":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"{{{{{{{{{'\u0006'}}}}}}}}}\"}":{".":{},"f:ip":{}}},"f:startTime":{}}},"subresource":"status"}""" + "]";
        return $$$$$$$$$"""{"metadata":{"name":"{{{{{{{{{'\u0001'}}}}}}}}}","generateName":"{{{{{{{{{rs}}}}}}}}}-","namespace":"{{{{{{{{{ns}}}}}}}}}","uid":"{{{{{{{{{'\u0002'}}}}}}}}}","resourceVersion":"{{{{{{{{{'\u0011'}}}}}}}}}","creationTimestamp":"{{{{{{{{{'\u000e'}}}}}}}}}","labels":{"app.kubernetes.io/instance":"{{{{{{{{{app}}}}}}}}}-{{{{{{{{{ns}}}}}}}}}","app.kubernetes.io/name":"{{{{{{{{{app}}}}}}}}}","pod-template-hash":"{{{{{{{{{hash}}}}}}}}}"},"annotations":{"checksum/config":"{{{{{{{{{Word(random, Hex, 64)}}}}}}}}}","prometheus.io/port":"9090","prometheus.io/scrape":"true"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{{{{{{{{{rs}}}}}}}}}","uid":"{{{{{{{{{ownerUid}}}}}}}}}","controller":true,"blockOwnerDeletion":true}],"managedFields":{{{{{{{{{managed}}}}}}}}}},"spec":{"volumes":[{"name":"config","configMap":{"name":"{{{{{{{{{app}}}}}}}}}-config","defaultMode":420}},{"name":"kube-api-access-{{{{{{{{{'\u0003'}}}}}}}}}","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],"containers":[{"name":"main","image":"registry.example.com/team/{{{{{{{{{app}}}}}}}}}:1.{{{{{{{{{owner % 37}}}}}}}}}.{{{{{{{{{owner % 11}}}}}}}}}","command":["/bin/{{{{{{{{{app}}}}}}}}}"],"args":["--config=/etc/config/app.yaml","--listen=:8080"],"ports":[{"name":"http","containerPort":8080,"protocol":"TCP"},{"name":"metrics","containerPort":9090,"protocol":"TCP"}],"env":[{{{{{{{{{env}}}}}}}}}],"resources":{"limits":{"cpu":"500m","memory":"512Mi"},"requests":{"cpu":"{{{{{{{{{50 + owner % 5 * 50}}}}}}}}}m","memory":"128Mi"}},"volumeMounts":[{"name":"config","mountPath":"/etc/config"},{"name":"kube-api-access-{{{{{{{{{'\u0003'}}}}}}}}}","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"livenessProbe":{"httpGet":{"path":"/healthz","port":8080,"scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},"readinessProbe":{"httpGet":{"path":"/readyz","port":8080,"scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent","securityContext":{"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"{{{{{{{{{app}}}}}}}}}","serviceAccount":"{{{{{{{{{app}}}}}}}}}","nodeName":"{{{{{{{{{'\u0004'}}}}}}}}}","securityContext":{},"schedulerName":"default-scheduler","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}],"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"},"status":{"phase":"Running","conditions":[{"type":"PodReadyToStartContainers","status":"True","lastProbeTime":null,"lastTransitionTime":"{{{{{{{{{'\u000f'}}}}}}}}}"},{"type":"Initialized","status":"True","lastProbeTime":null,"lastTransitionTime":"{{{{{{{{{'\u000e'}}}}}}}}}"},{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":"{{{{{{{{{'\u0010'}}}}}}}}}"},{"type":"ContainersReady","status":"True","lastProbeTime":null,"lastTransitionTime":"{{{{{{{{{'\u0010'}}}}}}}}}"},{"type":"PodScheduled","status":"True","lastProbeTime":null,"lastTransitionTime":"{{{{{{{{{'\u000e'}}}}}}}}}"}],"hostIP":"{{{{{{{{{'\u0007'}}}}}}}}}","hostIPs":[{"ip":"{{{{{{{{{'\u0007'}}}}}}}}}"}],"podIP":"{{{{{{{{{'\u0006'}}}}}}}}}","podIPs":[{"ip":"{{{{{{{{{'\u0006'}}}}}}}}}"}],"startTime":"{{{{{{{{{'\u000e'}}}}}}}}}","containerStatuses":[{"name":"main","state":{"running":{"startedAt":"{{{{{{{{{'\u000f'}}}}}}}}}"}},"lastState":{},"ready":true,"restartCount":0,"image":"registry.example.com/team/{{{{{{{{{app}}}}}}}}}:1.{{{{{{{{{owner % 37}}}}}}}}}.{{{{{{{{{owner % 11}}}}}}}}}","imageID":"registry.example.com/team/{{{{{{{{{app}}}}}}}}}@sha256:{{{{{{{{{digest}}}}}}}}}","containerID":"containerd://{{{{{{{{{'\u0005'}}}}}}}}}","started":true}],"qosClass":"Burstable"}}""";
    }
}
